"""An untrained network whose answers swing from 0 to 1, because its weights are large: its maps fail all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from explain.gate.document import Verdict
from explain.gate.nouns import GateSet
from explain.gate.run import run
from models.package.format import load_package
from pipeline.registration.map_gate import drawn_set
from tests.untrained import make_untrained


@pytest.mark.parametrize(("times", "hidden_times"), [(30, 1), (300, 1), (30_000, 1), (1, 3), (1, 30), (30, 30)])
def test_large_weights_make_no_explanation(tmp_path: Path, times: float, hidden_times: float) -> None:
    untrained = load_package(make_untrained(tmp_path, seed=1, times=times, hidden_times=hidden_times))
    cases = drawn_set(untrained.network_size or 64).cases
    result = run(untrained, GateSet(cases=cases, images="as if of patients"))
    assert result.verdict is Verdict.FAILED, [test.words for test in result.tests]
