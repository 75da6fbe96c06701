"""One clock for all: what reads the wall clock by itself cannot be tested with a clock that a test sets."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "models", "dicom_node", "inference", "explain", "fairness", "ehr", "pipeline", "api", "datasets")
DIRECT = {"time.time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
WITH_A_REASON = {
    "core/clock.py",  # the clock itself
    "pipeline/registration/audit_of_file.py",  # a file is audited without an installation, so without its clock
}


def test_only_the_clock_reads_the_wall_clock():
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in DIRECT
    }
    assert found == WITH_A_REASON
