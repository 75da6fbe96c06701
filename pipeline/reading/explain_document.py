"""What is said of an explanation in JSON: figures and names, no person and no pixel."""

from __future__ import annotations

from core.documents.model import Document, absent
from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import Finding
from pipeline.results_json import CodeEntry, FaithfulnessEntry, ModelEntry

MEANING = "regions that influenced the model; not the place of a disease"


class MapEntry(Document):
    """One map: how it was made, whether it may be shown, and how far to trust it."""

    method: str
    code: CodeEntry
    parameters: dict[str, float | int | str]
    shown: bool
    withheld_reason: str
    faithfulness: FaithfulnessEntry | None

    @classmethod
    def of(cls, saliency: Saliency) -> MapEntry:
        """The entry of a map."""
        measured = saliency.faithfulness
        return cls(
            method=str(saliency.parameters.get("method", saliency.method.meaning)),
            code=_code(saliency.method),
            parameters=dict(saliency.parameters),
            shown=saliency.shown,
            withheld_reason=saliency.withheld_reason,
            faithfulness=FaithfulnessEntry.of(measured) if measured else None,
        )


class ExplanationDocument(Document):
    """A second map of a finding next to that of the report. A written file has `study_id` and `picture` as well."""

    noun = "an explanation"

    study_id: str | None = absent()
    finding: str
    probability: float
    positive: bool
    model: ModelEntry
    map: MapEntry
    report_map: MapEntry | None
    agreement: dict[str, float]
    meaning: str = MEANING
    picture: str | None = absent()

    @classmethod
    def of(
        cls,
        finding: Finding,
        model: ModelVersion,
        second: Saliency,
        first: Saliency | None,
        agreement: dict[str, float],
    ) -> ExplanationDocument:
        """The document of a job: `second` is the map that was asked for, `first` the report's."""
        return cls(
            finding=finding.name,
            probability=finding.probability,
            positive=finding.is_positive,
            model=ModelEntry.of(model),
            map=MapEntry.of(second),
            report_map=MapEntry.of(first) if first else None,
            agreement=agreement,
        )


def _code(code: Code) -> CodeEntry:
    return CodeEntry(value=code.value, scheme=code.scheme, meaning=code.meaning)
