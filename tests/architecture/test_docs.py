"""The documents say what the code does: every setting, command, figure, path and link in them is compared with it."""

import ast
import io
import re
import runpy
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path
from tokenize import COMMENT

import pytest

from core.domain.report import ObjectKind, ReportStatus
from core.domain.states import TRANSITIONS
from core.settings import Settings
from core.settings.destinations import DicomDestination, FolderDestination, TlsSettings
from pipeline.results_json import NotMadeEntry, ObjectEntry, StudyEntry
from tests.contract.encode.cases import cases

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/**/*.md")]
    if ".venv" not in path.parts
)
ROOMS = "core|models|dicom_node|inference|explain|fairness|ehr|pipeline|api|datasets"
MODULES = sorted(path for room in ROOMS.split("|") for path in (ROOT / room).rglob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PLACES = (ROOT, ROOT / "models" / "zoo" / "chest_radiograph")  # a text may speak of a path inside every model package
OPERATIONS = ROOT / "docs" / "operations.md"
RESULTS = ROOT / "docs" / "results.md"
CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4}\S[^\n]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "docs" / "tables.py"))


@pytest.fixture(scope="module")
def tables(script):
    return script["tables"]()


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def code_in(text):
    return "\n".join(CODE.findall(text))


def targets_of_makefile():
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def test_the_tables_are_what_the_code_says(script, tables):
    assert script["differences"](tables, script["schemas"]()) == [], "run: python docs/tables.py"


def test_every_table_is_in_one_document(script, tables):
    marks = "".join(read(name) for name in script["DOCUMENTS"])
    assert {name: marks.count(f"<!-- table: {name} -->") for name in tables} == dict.fromkeys(tables, 1)


def test_a_table_that_drifted_is_noticed(script, tables):
    text = read("docs/operations.md").replace("`CANDOR_PORT`", "`CANDOR_PROT`")
    assert script["filled"](text, tables) != text


def test_what_drifted_is_named_and_nothing_is_written(script, tables):
    drifted = {**tables, "commands": "", "demo": tables["demo"].replace("| **above** |", "| below |")}
    before = {name: read(name) for name in script["DOCUMENTS"]}
    schemas = script["schemas"]()
    already = script["differences"](tables, schemas)
    found = script["differences"](drifted, schemas | {"planted.json": "{}"})
    assert [line for line in found if line not in already] == [
        "README.md: the table demo is not what the code says",
        "docs/commands.md: the table commands is not what the code says",
        "docs/schemas/planted.json: the schema is not what the code says",
    ]
    assert {name: read(name) for name in script["DOCUMENTS"]} == before


def test_the_last_digits_of_a_computed_table_may_differ_and_nothing_else(script):
    is_close = script["is_close"]
    assert is_close("| effusion | 0.255 | below |", "| effusion | 0.256 | below |")
    assert not is_close("| effusion | 0.255 | below |", "| effusion | 0.265 | below |")
    assert not is_close("| effusion | 0.255 | below |", "| effusion | 0.255 | above |")
    assert not is_close("| effusion | 0.255 |", "| effusion | 0.255 |\n| edema | 0.053 |")


def test_an_unknown_argument_writes_nothing():
    script = [sys.executable, str(ROOT / "docs" / "tables.py"), "--chek"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: python docs/tables.py [--check]\n")


def test_the_readme_fits_on_a_few_screens():
    assert len(read("README.md").splitlines()) <= 120


@pytest.mark.parametrize("settings", [Settings, DicomDestination, FolderDestination, TlsSettings])
def test_every_setting_is_in_the_operations_guide(settings):
    text = OPERATIONS.read_text(encoding="utf-8")
    assert [name for name in settings.model_fields if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_name_only_make_targets_and_commands_that_exist(path, tables):
    code = code_in(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"(?<![\w-])make ([a-z]+)\b", code))
    commands = set(re.findall(r"(?:^|[`\s/])candor ([a-z]+)\b", code))
    known = set(re.findall(r"`candor (\w+)", tables["commands"]))
    assert targets - targets_of_makefile() == set()
    assert commands - known == set()


def anchors_of(path):
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    broken = []
    for link in (first or second for first, second in LINK.findall(path.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = path if not name else (path.parent / name).resolve()
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_a_text_names_exists(path):
    named = set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8")))
    tests = "".join(test.read_text(encoding="utf-8") for test in ROOT.glob("tests/**/test_*.py"))
    assert {name for name in named if f"def {name}(" not in tests} == set()


def words_of(path):
    """A document as it is, of a module its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED)]
    comments = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == COMMENT]
    return "\n".join([ast.get_docstring(node) or "" for node in nodes] + comments)


def is_a_module(name):
    place = ROOT / name.replace(".", "/")
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def is_defined(name):
    """Whether a dotted name is a module, or bound in one: `core.domain.study`, `core.domain.study.Series.modality`."""
    module, _, bound = name.rpartition(".")
    if is_a_module(name) or not module:
        return is_a_module(name)
    if not is_a_module(module):
        return is_defined(module)  # an attribute of a class
    place = ROOT / module.replace(".", "/")
    text = (place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py").read_text("utf-8")
    return (
        re.search(rf"^(?:def|class|async def) {bound}\b|^{bound}\b.* = |^from .* import .*\b{bound}\b", text, re.M)
        is not None
    )


@pytest.mark.parametrize("path", [*TEXTS, *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_module_and_name_of_ours_that_a_text_mentions_exists(path):
    if path.name == "CHANGELOG.md":
        return  # it speaks of the past too
    words = words_of(path)
    paths = set(
        re.findall(rf"(?<![\w./-])((?:{ROOMS}|tests|docs)/[\w/-]+\.(?:py|md|json|csv|toml|onnx|jpg|svg))\b", words)
    )
    if path.suffix == ".md":
        paths |= set(re.findall(rf"`((?:{ROOMS}|tests|docs)/[\w./-]*)`", words))
    missing = {name for name in paths if not any((place / name).exists() for place in PLACES)}
    modules = set(re.findall(rf"python3? -m ((?:{ROOMS}|tests)[\w.]*\w)", words))
    missing |= {name for name in modules if not is_a_module(name)}
    dotted = set(re.findall(rf"(?<![\w./-])`?((?:{ROOMS})(?:\.[A-Za-z_]\w*)+)(?![\w/-])", words))
    files = {name for name in dotted if name.endswith((".py", ".md", ".toml", ".db", ".json"))}
    missing |= {name for name in dotted - files if not is_defined(name)}
    assert missing == set()


def test_the_changelog_knows_this_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    newest = re.search(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1].startswith("[Unreleased]") or f"[{version}]" in newest[1]
    assert f"Product: Candor {version}." in read("docs/dicom-conformance.md")


def test_every_decision_is_listed_once_and_in_order():
    folder = ROOT / "docs" / "decisions"
    files = sorted(path.name for path in folder.glob("0*.md"))
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((0.+\.md)\)$", read("docs/decisions/README.md"), re.MULTILINE)
    assert [name for *_, name in listed] == files
    for number, title, name in listed:
        assert int(name.partition("-")[0]) == int(number)
        assert (folder / name).read_text(encoding="utf-8").startswith(f"# {number}. {title}\n")


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values())) if value else set()
    return set().union(*map(keys_of, value)) if isinstance(value, list | tuple) else set()


def test_every_field_of_results_json_is_described():
    text = RESULTS.read_text(encoding="utf-8")
    reports = [case.report for case in cases()]
    assert {report.status for report in reports} >= {ReportStatus.REPORTED, ReportStatus.NOT_ANALYSED}
    fields = set()
    for report in reports:
        entry = StudyEntry.of(report, objects_not_made=(NotMadeEntry(kind="pmap", reason=""),))
        fields |= keys_of(entry.model_dump(mode="json"))
    fields |= set(ObjectEntry.model_fields)
    fields |= set(re.findall(r'^\s+"(\w+)": ', read("api/demo/analyze.py"), re.MULTILINE)) & {
        "studies",
        "rejected_files",
        "not_dicom_files",
    }
    assert "threshold" in fields
    assert {field for field in fields if f"`{field}`" not in text} == set()


def test_every_kind_of_object_and_every_status_is_described():
    text = RESULTS.read_text(encoding="utf-8").lower()
    assert [kind for kind in ObjectKind if kind.value.replace("-", " ") not in text] == []
    assert [status for status in ReportStatus if f"`{status}`" not in text] == []
    assert [state for state in TRANSITIONS if f"`{state}`" not in read("ARCHITECTURE.md")] == []


PLANTED = """from typing import Any, cast

Open = dict[str, Any]


def twice(found: Open) -> object:
    return cast("dict[str, Any]", found)
"""


def test_the_house_is_measured_as_it_says():
    figures = runpy.run_path(str(ROOT / "docs" / "house_figures.py"))["figures"]
    other = "def twice(found: Mapping[str, object]) -> None: ...\n"
    measured = figures({"core/one.py": PLANTED, "core/__init__.py": "", "api/cli/two.py": other})
    assert measured["files"] == "3"
    assert measured["folders"] == "2"
    assert measured["function lines, median / p90 / max"] == "2 / 2 / 2"
    assert measured["`dict[str, Any]`"] == "2"
    assert measured["the same with `object` mappings, aliases and casts"] == "4"
    assert measured["public names defined in two modules or more"] == "1"
