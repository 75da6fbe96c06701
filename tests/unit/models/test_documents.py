"""The documents of the shipped package are read by their models and written again byte for byte."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from core.documents.reading import read_document, text_of
from core.errors import IntegrityError
from explain.gate.document import Explanation
from fairness.audit.document import AuditDocument
from fairness.audit.signature import verify
from models.documents.evaluation import Evaluation
from models.documents.quality import QualityFigures
from models.documents.training import TrainingRecord
from models.package.description import Description, Prose
from models.registry import ZOO

SHIPPED = ZOO / "chest_radiograph"
ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = {
    "candor.json": Description,
    "docs/evaluation.json": Evaluation,
    "docs/explanation.json": Explanation,
    "docs/prose.json": Prose,
    "docs/quality.json": QualityFigures,
    "docs/training.json": TrainingRecord,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_shipped_document_is_written_as_it_was_read(name):
    text = (SHIPPED / name).read_text(encoding="utf-8")
    assert text_of(read_document(DOCUMENTS[name], text, name)) + "\n" == text


def test_the_audit_that_earlier_code_signed_still_holds_and_is_written_as_it_was():
    text = (SHIPPED / "docs" / "audit.json").read_text(encoding="utf-8")
    verified = verify(text)
    assert (verified.whose, verified.audit.provenance.rows) == ("fresh", 333)
    assert text_of(read_document(AuditDocument, text, "audit.json")) == text


@pytest.mark.parametrize("change", [{"newer": 1}, {"advice": []}])
def test_the_signature_covers_every_key_also_one_that_is_not_known(change):
    document = json.loads((SHIPPED / "docs" / "audit.json").read_text(encoding="utf-8"))
    with pytest.raises(IntegrityError, match="changed after it was signed"):
        verify(json.dumps(document | change))


def test_every_document_has_a_schema_that_is_kept_with_the_code():
    schemas = runpy.run_path(str(ROOT / "docs" / "schemas.py"))["schemas"]()
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "schemas").iterdir()}
    assert kept == schemas
    names = {"audit", "candor", "cohorts", "evaluation", "explanation", "policy", "quality", "training"}
    assert {f"{name}.schema.json" for name in names} <= set(schemas)


def test_the_schemas_say_what_the_shipped_documents_hold():
    schemas = runpy.run_path(str(ROOT / "docs" / "schemas.py"))["schemas"]()
    schema = json.loads(schemas["candor.schema.json"])
    description = json.loads((SHIPPED / "candor.json").read_text(encoding="utf-8"))
    assert set(schema["required"]) <= set(description) <= set(schema["properties"])
    assert schema["$defs"]["AcceptsSection"]["additionalProperties"] is False
    assert schema["$defs"]["PublishedPoint"]["properties"]["threshold"]["maximum"] == 1.0
