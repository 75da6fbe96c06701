"""What the registration gate found, as it is kept with the model version, and whether maps may be sent."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from core.documents.model import NOTHING, Nothing
from core.documents.reading import read_document, write_file
from core.errors import CandorError
from explain.gate.document import Comparison, Explanation, GateCurves, GateTest, Verdict, verdict_of
from explain.gate.effect import is_large_enough
from models.package.format import ModelPackage

RESULT = Path("docs/explanation.json")
"""Within a model package."""
SCHEMA: Literal[1] = 1

RANDOMISATION = "weight randomisation"
CLASS_SENSITIVITY = "class sensitivity"
FAITHFULNESS = "faithfulness"
PLANTED_LESION = "planted lesion"
STABILITY = "stability"
LOCALISATION = "localisation"
TESTS = (RANDOMISATION, CLASS_SENSITIVITY, FAITHFULNESS, PLANTED_LESION, STABILITY, LOCALISATION)

NOT_JUDGED = "not judged, because the map gate was run without images of patients"
METHOD = "class_activation"
"""What the maps of reports are made by: a gate that was passed by another method says nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """All tests on one model version: bound to its weights by `sha256`.

    `images`: what they were made on; `weaker`: without held-out patients, and why that proves less. `curves`: for the
    card's plots. `comparison`: methods side by side on readers' boxes (explain.comparison), where it was made.
    """

    model: str
    version: str
    sha256: str
    method: str
    images: str
    weaker: str
    tests: tuple[GateTest, ...]
    curves: GateCurves = field(default_factory=GateCurves)
    comparison: Comparison | Nothing = NOTHING

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests that failed."""
        return tuple(test.name for test in self.tests if test.passed is False)

    @property
    def passed(self) -> bool:
        """Whether maps may be sent: nothing failed, something was tested, and on images of patients."""
        return not self.failed and not self.weaker and any(test.passed for test in self.tests)

    @property
    def verdict(self) -> Verdict:
        """How the gate ended."""
        return verdict_of(passed=self.passed, failed=self.failed, weaker=self.weaker)

    def document(self) -> Explanation:
        """What is stored."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return Explanation(schema_version=SCHEMA, passed=self.passed, failed=self.failed, **parts)


def write_result(result: GateResult, folder: Path) -> Path:
    """Store the result in a package's folder; returns the file."""
    path = folder / RESULT
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, result.document())
    return path


def read_result(package: ModelPackage) -> Explanation | None:
    """The stored document of a package, or None when it has none; `passed` and `failed` follow from its tests.

    A test that is not there, or was not made where the gate would have made it, counts as failed: a summary is no
    proof. Figures of an effect that is too small count as failed too, whatever they were taken for when they were
    made. Raises ConfigurationError when it cannot be read, IntegrityError when it was exchanged after the package was
    verified.
    """
    if RESULT.as_posix() not in package.files:
        return None
    document = read_document(Explanation, package.read(RESULT), f"{RESULT} of {package.model.name}")
    failed = tuple(_failed(document, package))
    return document.model_copy(update={"passed": not failed and not document.weaker, "failed": failed})


def withheld_reason(package: ModelPackage) -> str:
    """Why maps of this model may not be sent, to follow "Map withheld because"; "" when they may.

    Checked when the service starts. Never raises: an unreadable result withholds the maps and lets the model work.
    """
    if package.maps_withheld is not None:  # the site ran the gate itself when it registered the model
        return package.maps_withheld
    try:
        document = read_result(package)
    except CandorError:
        return "the result of this model's map gate cannot be read"
    if document is None:
        return "this model has not been through the map gate"
    if other := objection(document, package):
        return f"this model's map gate was passed by {other}"
    return {
        Verdict.PASSED: "",
        Verdict.FAILED: f"this model's explanations failed the gate: {', '.join(document.failed)}",
        Verdict.NOT_JUDGED: f"this model's maps were {NOT_JUDGED}",
    }[document.verdict]


def objection(document: Explanation, package: ModelPackage) -> str:
    """What else than the maps of this package a result is about, to follow "passed by"; "" when it is about them."""
    if document.sha256 != package.model.sha256:
        return "other weights"
    return "" if document.method == METHOD else "maps of another method"


def _failed(document: Explanation, package: ModelPackage) -> list[str]:
    """Names of the tests that failed, and of those without which nothing is passed."""
    ends = {test.name: test.passed and not _has_no_effect(test, document) for test in document.tests}
    spared = {LOCALISATION}  # without enough readers' boxes
    if len(package.model.findings) < 2:
        spared.add(CLASS_SENSITIVITY)
    unmade = [name for name in TESTS if ends.get(name) is None and not (name in ends and name in spared)]
    return [name for name, end in ends.items() if end is False] + [f"{name} (not made)" for name in unmade]


def _has_no_effect(test: GateTest, document: Explanation) -> bool:
    """Whether a test of faithfulness was passed by figures that show no effect."""
    return test.name == FAITHFULNESS and bool(test.figures) and not is_large_enough(test.figures, document.curves)
