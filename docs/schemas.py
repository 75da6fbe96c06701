"""The JSON Schema of each document; docs/tables.py writes them to docs/schemas and checks them."""

from __future__ import annotations

from core.documents.model import Document
from core.documents.reading import schema_of
from explain.gate.document import Explanation
from fairness.audit.document import AuditDocument
from fairness.cohorts import DefinitionFile
from fairness.mitigation_policy import OperatingPolicy
from fairness.policy import Policy
from models.documents.evaluation import Evaluation
from models.documents.quality import QualityFigures
from models.documents.training import TrainingRecord
from models.package.description import Description, Prose

SCHEMAS: dict[str, type[Document]] = {
    "audit": AuditDocument,
    "candor": Description,
    "cohorts": DefinitionFile,
    "evaluation": Evaluation,
    "explanation": Explanation,
    "operating-policy": OperatingPolicy,
    "policy": Policy,
    "prose": Prose,
    "quality": QualityFigures,
    "training": TrainingRecord,
}


def schemas() -> dict[str, str]:
    """The text of each file of docs/schemas, by its name."""
    return {f"{name}.schema.json": schema_of(model) for name, model in SCHEMAS.items()}
