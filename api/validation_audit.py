"""The validation audit of a model: for whom does it fail among the held-out patients of a labelled set?"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from api.evaluate import PREDICTIONS, score_held_out, write_predictions
from core.errors import ConfigurationError
from datasets import chest
from fairness.audit import Audit, Provenance, Threshold
from fairness.audit_csv import open_predictions
from fairness.audit_run import Request, run_audit
from models.evaluation import PRIMARY_ROWS
from models.onnx_runtime import OnnxModel
from models.packages import ModelPackage

BY = ("sex", "age_band", "view")
_THREADS = 2


def validation_audit(package: ModelPackage, data: Path) -> Audit:
    """Run `package` on the test patients of `data` and audit what it says, by sex, age band and view, at its own
    operating points. Nothing of a patient is kept but the figures.

    Raises ConfigurationError when `data` is no known set or holds no test patients.
    """
    held_out = [e for e in chest.load(data) if e.split == "test" and e.tier >= PRIMARY_ROWS]
    if not held_out:
        raise ConfigurationError("the labelled set holds no image of a test patient, so nothing can be audited on it")
    scored = score_held_out(OnnxModel.load(package, threads=_THREADS), held_out, _in_silence)
    with tempfile.TemporaryDirectory(prefix="candor-") as folder:
        path = Path(folder) / PREDICTIONS
        write_predictions(path, package, scored)
        with open_predictions(path, BY) as file:
            return run_audit(file.table, _request(package), _provenance(package, data, file.sha256))


def _in_silence(_what: str, _done: int, _of: int) -> None:
    """Whoever registers a model waits a quarter of a minute; no bar is needed."""


def _request(package: ModelPackage) -> Request:
    model = package.model
    source = f"operating point of {model.name} {model.version}"
    thresholds = {
        finding.name: Threshold(finding=finding.name, value=finding.operating_point.threshold, source=source)
        for finding in model.findings
    }
    return Request(by=BY, thresholds=thresholds)


def _provenance(package: ModelPackage, data: Path, sha256: str) -> Provenance:
    return Provenance(
        code_version=version("candor"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=f"test patients of {data.resolve().name}",
        input_sha256=sha256,
        model_name=package.model.name,
        model_version=package.model.version,
        model_sha256=package.model.sha256,
        truth_source="labels of the set",
    )
