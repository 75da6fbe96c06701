"""The validators of the field, run on encoded objects: what they complain about, as lines.

Each function takes one DICOM file and returns its complaints, empty when the object is clean. The tools are Debian
packages (dicom3tools, dcmtk, pixelmed-apps, a Java runtime); where one is missing the calling test is skipped and
says which.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

PIXELMED = Path("/usr/share/java/pixelmed.jar")
SHARED_VALIDATOR = Path(__file__).parents[3] / "shared" / "tools" / "validate-results"
# what PixelMed 2022 prints for correct objects: it takes TID 1501 groups for TID 1410, knows TID 310 before its
# relationship was changed, and TID 4019 and CID 100 before their additions
_FALSE_ALARMS = re.compile(r"[Tt]emplate 1410|TID 1410|INFERRED FROM|Algorithm Manufacturer|43468-8")


def dciodvfy(file: Path) -> list[str]:
    """Errors of dicom3tools' IOD check."""
    return _errors(_run(_tool("dciodvfy"), "-new", str(file)))


def dcmtk_sr(file: Path) -> list[str]:
    """Errors of DCMTK's two SR readers."""
    return _failures([_tool("dsrdump"), str(file)]) + _failures([_tool("dsr2html"), str(file)])


def dcmtk_file(file: Path) -> list[str]:
    """Complaints of DCMTK's Part 10 check."""
    return _failures([_tool("dcmftest"), str(file)])


def dcmtk_presentation(file: Path) -> list[str]:
    """Complaints of DCMTK's presentation state check."""
    done = _run(_tool("dcmpschk"), str(file))
    output = done.stdout + done.stderr
    return [] if "test passed" in output.lower() else output.splitlines()[-5:]


def pixelmed_sr(file: Path) -> list[str]:
    """Errors of PixelMed's template check, without its known false alarms."""
    checker = _template_checker()
    assert checker.stdin is not None
    assert checker.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # what ended it is read below
        checker.stdin.write(f"{file.absolute()}\n")
        checker.stdin.flush()
    said = []
    while (line := checker.stdout.readline()) != "done\n":
        said.append(line.rstrip("\n"))
        if not line:
            raise AssertionError("\n".join(["the template check ended:", *said]))
    complaints = [line for line in said if line.startswith("Error") or "unrecognized" in line]
    return [line for line in complaints if not _FALSE_ALARMS.search(line)]


@functools.cache
def _template_checker() -> subprocess.Popen[str]:
    """One process for all files, because its rules take seconds to compile; it ends with its input."""
    if not PIXELMED.exists():
        pytest.skip("pixelmed-apps is not installed")
    limits = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprOp", "ExprGrp")]
    program = str(Path(__file__).with_name("TemplateCheck.java"))
    checker = subprocess.Popen(
        [_tool("java"), *limits, "-cp", str(PIXELMED), program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    atexit.register(checker.communicate)
    return checker


def every_check(file: Path) -> list[str]:
    """What all the validators say that know an object of its kind."""
    complaints = dciodvfy(file)
    sop_class = str(dcmread(file, specific_tags=["SOPClassUID"]).SOPClassUID)
    for family, checks in _FAMILIES.items():
        if sop_class.startswith(family):
            complaints += [complaint for check in checks for complaint in check(file)]
    return complaints


_FAMILIES = {
    "1.2.840.10008.5.1.4.1.1.88.": (dcmtk_sr, pixelmed_sr),  # structured reports
    "1.2.840.10008.5.1.4.1.1.11.": (dcmtk_presentation,),  # presentation states
}


def validate_folder(folder: Path) -> list[str]:
    """Complaints of the shared script that runs every validator below `folder`."""
    if not SHARED_VALIDATOR.exists():
        pytest.skip("../shared is not here")
    for name in ("dciodvfy", "dsrdump", "dcmpschk", "java"):
        _tool(name)
    done = _run(str(SHARED_VALIDATOR), str(folder))
    return [] if done.returncode == 0 else done.stdout.splitlines()


def _tool(name: str) -> str:
    path = shutil.which(name, path="/usr/bin:/bin")  # never a virtual environment's namesake
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def _errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def _failures(command: list[str]) -> list[str]:
    done = _run(*command)
    if done.returncode == 0:
        return []
    return [f"{Path(command[0]).name} ended with {done.returncode}", *done.stderr.splitlines()[:5]]
