"""The house keeps its own rules: fields named as in DICOM, no identity in a repr, rooms that are ours, a light node."""

import dataclasses
import importlib.metadata
import subprocess
import sys

import pytest
from pydicom.datadict import tag_for_keyword

from core.domain.study import Instance, Patient, Study
from tests.architecture.sources import ROOMS, ROOT

MIRRORS = (Patient, Instance, Study)
OURS = {
    # fields of the mirroring nouns that are our own words
    *("study_id", "revision", "patient", "series", "calling_ae_title"),
    *("header_flags", "object_key", "size_bytes", "arrival", "patient_age_years", "acquired_at"),
    *("is_age_unreadable", "anatomic_region", "view_code"),
    *("edition", "identity_from", "identity_conflict", "identity_doubts"),
}
KEYWORDS = {"sop_instance_uid": "SOPInstanceUID", "sop_class_uid": "SOPClassUID", "kvp": "KVP"}


def keyword_of(field: str) -> str:
    if field in KEYWORDS:
        return KEYWORDS[field]
    words = [word.upper() if word in ("uid", "id") else word.capitalize() for word in field.split("_")]
    return "".join(words)


@pytest.mark.parametrize("noun", MIRRORS)
def test_a_field_that_mirrors_an_element_bears_its_keyword(noun):
    fields = [field.name for field in dataclasses.fields(noun) if field.name not in OURS]
    unknown = [name for name in fields if tag_for_keyword(keyword_of(name)) is None]
    assert unknown == []


def test_identity_does_not_show_in_repr():
    patient = Patient(patient_id="CANARY1", patient_name="CANARY^2")
    assert "CANARY" not in repr(patient)


def test_no_other_distribution_owns_our_rooms():
    owners = importlib.metadata.packages_distributions()
    unrelated = {room: owners[room] for room in ROOMS if set(owners.get(room, ["candor"])) != {"candor"}}
    assert unrelated == {}


def test_starting_the_node_loads_no_model_library():
    code = (
        "import sys, pipeline.intake, dicom_node.receive\n"
        "heavy = {'torch', 'monai', 'onnxruntime', 'highdicom', 'dbos'} & set(sys.modules)\n"
        "sys.exit(f'the node loads {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
