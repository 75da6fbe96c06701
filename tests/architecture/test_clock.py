"""One clock for all: what reads the wall clock by itself cannot be tested with a clock that a test sets."""

import ast

from tests.architecture.sources import ROOMS, files, nodes, place

DIRECT = {"time.time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
WITH_A_REASON = {
    "core/clock.py",  # the clock itself
    "pipeline/registration/audit_of_file.py",  # a file is audited without an installation, so without its clock
}


def test_only_the_clock_reads_the_wall_clock():
    found = {
        place(path)
        for path in files(".py", tops=ROOMS)
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in DIRECT
    }
    assert found == WITH_A_REASON
