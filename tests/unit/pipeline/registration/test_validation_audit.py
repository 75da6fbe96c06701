"""The shipped model, audited on real held-out patients, as `candor models register --images` does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError
from fairness.policy import DEFAULT, Floor, Level, Policy, judge
from models.registry import load_registry
from pipeline.registration.evaluate import validation_audit

_PLACES = [folder / "shared" / "data" / "nih_chest" for folder in Path(__file__).resolve().parents[5:7]]
RADIOGRAPHS = next((folder for folder in _PLACES if folder.is_dir()), _PLACES[0])


@pytest.mark.skipif(not RADIOGRAPHS.is_dir(), reason="needs real radiographs: ../shared/data/nih_chest")
def test_the_audit_of_the_shipped_model_is_of_its_weights_and_its_evaluation() -> None:
    package = load_registry().find("chest_radiograph")
    audit = validation_audit(package, RADIOGRAPHS)
    assert audit.provenance.model_sha256 == package.model.sha256
    assert audit.provenance.patients > 100
    assert set(audit.findings) == {finding.name for finding in package.model.findings}
    for finding in package.model.findings:
        row = audit.row(finding.name, "sensitivity")
        assert row is not None
        threshold = next(one for one in audit.provenance.thresholds if one.finding == finding.name)
        assert threshold.value == finding.operating_point.threshold
        if row.n is not None and row.positives is not None and row.negatives is not None:  # else withheld
            assert row.positives + row.negatives == row.n
    assert any(row.n for row in audit.rows)
    nothing_passes = Policy(floors={"sensitivity": Floor(lower_bound=1.0, level=Level.BLOCK)})
    assert judge(audit, nothing_passes).level is Level.BLOCK
    assert judge(audit, DEFAULT).level in (Level.OK, Level.WARN)


def test_a_folder_that_is_no_labelled_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        validation_audit(load_registry().find("chest_radiograph"), tmp_path)
