"""Each check catches a fault that is planted in a copy of the house."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

PYTEST = ("pytest", "--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-q")
CODE = (*PYTEST, "tests/architecture/test_code.py")
LAYOUT = (*PYTEST, "tests/architecture/test_layout.py")
DEAD_CODE = ("python", "-m", "tests.architecture.dead_code")
FUNCTION = '"""."""\n\n\ndef {}() -> None:\n    """."""\n'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """Files that break a rule, the command that must notice, and what it must say."""

    command: tuple[str, ...]
    files: dict[str, str]
    says: tuple[str, ...] = ("planted",)


FAULTS = {
    "ruff": Fault(command=("ruff", "check", "core"), files={"core/planted.py": '"""."""\nimport os\n'}),
    "ruff-format": Fault(
        command=("ruff", "format", "--check", "core"), files={"core/planted.py": '"""."""\nx = { 1:2 }\n'}
    ),
    "mypy": Fault(
        command=("mypy", "core/planted.py"),
        files={"core/planted.py": '"""."""\n\ndef f(x: int) -> str:\n    return x\n'},
    ),
    "layers": Fault(
        command=("lint-imports",),
        files={"core/planted.py": '"""."""\n\nimport api\n'},
        says=("core is not allowed to import api",),
    ),
    "exhaustive": Fault(command=("lint-imports",), files={"core/planted.py": '"""."""\n'}, says=("- core.planted",)),
    "acyclic_siblings": Fault(
        command=("lint-imports",),
        files={
            "core/domain/planted.py": '"""."""\n\nimport core.domain.planted_too\n',
            "core/domain/planted_too.py": '"""."""\n\nimport core.domain.planted\n',
        },
        says=("No cycles are allowed in core.domain",),
    ),
    "protected": Fault(
        command=("lint-imports",),
        files={"core/domain/planted.py": '"""."""\n\nimport jinja2\n'},
        says=("Illegal imports of protected package jinja2",),
    ),
    "deptry": Fault(command=("deptry", "."), files={"core/planted.py": '"""."""\n\nimport pandas\n'}),
    "dead code": Fault(
        command=DEAD_CODE,
        files={
            "core/planted.py": FUNCTION.format("planted_call") + FUNCTION.format("planted_settings"),
            "core/planted_class.py": '"""."""\n\n\nclass PlantedClass:\n    """."""\n',
            "core/planted_private.py": FUNCTION.format("_planted"),
            "core/planted_namesake.py": FUNCTION.format("_planted") + "\n\n_planted()\n",
        },
        says=("planted_call", "planted_settings", "PlantedClass", "core/planted_private.py"),
    ),
    "codespell": Fault(command=("codespell", "core"), files={"core/planted.py": '"""Rec' + 'ieve."""\n'}),
    "folder size": Fault(command=LAYOUT, files={f"core/planted/m{n}.py": '"""."""\n' for n in range(14)}),
    "unit tests mirror": Fault(command=LAYOUT, files={"tests/unit/planted/test_x.py": '"""."""\n'}),
    "broad except and loose mappings": Fault(
        command=CODE,
        files={
            "core/planted.py": '"""."""\n\ntry:\n    import core\nexcept (OSError, Exception):  # noqa\n    pass\n',
            "core/planted_row.py": FUNCTION.format("planted") + "Row = dict[str, Any]\n" + "x: Row = {}\n" * 300,
        },
        says=("core/planted.py:5", "'core/planted_row.py': 301"),
    ),
}


@pytest.fixture(scope="module")
def copied_house(tmp_path_factory):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the house is copied with git, and this is no checkout")
    copy = tmp_path_factory.mktemp("house") / "candor"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in files:
        if re.search(r"\.(py|toml|ini|cfg)$", name) and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("check", FAULTS)
def test_each_check_catches_a_planted_fault(check, copied_house):
    fault = FAULTS[check]
    tool = Path(sys.executable).with_name(fault.command[0])
    if not tool.exists():
        pytest.skip(f"{fault.command[0]} is not installed; make test installs it")
    for name, text in fault.files.items():
        (copied_house / name).parent.mkdir(exist_ok=True)
        (copied_house / name).write_text(text)
    try:
        command = [str(tool), *fault.command[1:]]
        here = {**os.environ, "PYTHONPATH": str(copied_house)}  # as in the Makefile: Python looks nowhere by itself
        done = subprocess.run(command, cwd=copied_house, env=here, capture_output=True, text=True, check=False)
    finally:
        for name in fault.files:
            (copied_house / name).unlink()
            if not any((copied_house / name).parent.iterdir()):
                (copied_house / name).parent.rmdir()
    said = done.stdout + done.stderr
    assert done.returncode != 0, f"{check} did not see the fault"
    assert [text for text in fault.says if text not in said] == [], said
