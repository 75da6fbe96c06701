"""For whom a reading was: attributes, bands, UNKNOWN, and the cohorts that a site defines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.documents.reading import read_document
from core.domain.reading import CohortFacts
from core.errors import ConfigurationError
from fairness.cohorts import (
    AGE_EDGES,
    Definition,
    DefinitionFile,
    attributes_of,
    band_of,
    cohort_name,
    conditions_of,
    load_definition,
)


def test_what_is_not_said_is_a_cohort_of_its_own():
    found = attributes_of(CohortFacts(), Definition())
    assert set(found) == set(Definition().names)
    assert set(found.values()) == {"UNKNOWN"}


def test_facts_become_attributes():
    facts = CohortFacts(
        patient_sex="F",
        patient_age_years=79.9,
        manufacturer="Smith & Co = x",
        view_position="ap",
        kvp=125.0,
        mobile=True,
        institution_name="St. Mary  North",
        calling_ae_title="ICU1",
    )
    found = attributes_of(facts, Definition())
    assert (found["sex"], found["age_band"], found["view"], found["kvp_band"]) == ("F", "60-79", "AP", "110+")
    assert (found["portable"], found["institution"], found["calling_ae_title"]) == ("yes", "ST. MARY NORTH", "ICU1")
    assert found["manufacturer"] == "SMITH AND CO X"


@pytest.mark.parametrize(
    ("age", "band"),
    [(0, "0-17"), (17.99, "0-17"), (18, "18-39"), (59, "40-59"), (80, "80+"), (120, "80+"), (None, "UNKNOWN")],
)
def test_age_bands_have_both_ends_in_them(age, band):
    assert band_of(age, AGE_EDGES) == band


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_name_can_be_taken_apart_whatever_the_header_said(manufacturer, station):
    found = attributes_of(CohortFacts(manufacturer=manufacturer, station_name=station), Definition())
    assert conditions_of(cohort_name(found)) == found
    assert conditions_of(cohort_name({})) == {}


def parse_definition(entries) -> Definition:
    return read_document(DefinitionFile, json.dumps(entries), "cohorts.toml").definition()


def test_a_site_defines_cohorts_as_data():
    definition = parse_definition(
        {
            "cohorts": {"icu": {"calling_ae_title": ["icu1", "ICU2"], "portable": "yes"}, "strong": {"dose": "110+"}},
            "bands": {"dose": {"over": "kvp", "edges": [80, 110]}},
        }
    )
    found = attributes_of(CohortFacts(calling_ae_title="ICU2", mobile=True, kvp=80), definition)
    assert (found["icu"], found["dose"], found["strong"]) == ("yes", "80-109", "no")
    assert attributes_of(CohortFacts(calling_ae_title="ICU2"), definition)["icu"] == "no"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"cohort": {}}, "there is no cohort; there are cohorts, bands"),
        ({"cohorts": {"icu": {"ae": ["X"]}}}, r"cohorts\.icu: there is no attribute ae"),
        ({"cohorts": {"icu": {}}}, r"cohorts\.icu must have at least 1 item"),
        ({"cohorts": {"icu": {"view": [1]}}}, r"cohorts\.icu\.view\[0\] must be a valid string"),
        ({"cohorts": {"icu": "view"}}, r"cohorts\.icu must be an object"),
        ({"cohorts": {"a b": {"view": "AP"}}}, "letters, digits"),
        ({"cohorts": {"sex": {"view": "AP"}}}, "these names are taken: sex"),
        ({"bands": {"x": {"over": "mas", "edges": [1]}}}, r"bands\.x\.over must be 'age' or 'kvp'"),
        ({"bands": {"x": {"over": "kvp", "edges": [90, 80]}}}, r"bands\.x: edges must rise"),
        (
            {"bands": {"x": {"over": "kvp", "edges": ["__import__('os')"]}}},
            r"x\.edges\[0\] must be a valid number",
        ),
        (
            {"bands": {"x": {"over": "kvp", "edges": [90], "why": 1}}},
            r"bands\.x: there is no why; there are over",
        ),
    ],
)
def test_a_wrong_definition_is_named_by_its_place(document, words):
    with pytest.raises(ConfigurationError, match=words):
        parse_definition(document)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path):
    path = tmp_path / "cohorts.toml"
    assert load_definition(path) == Definition()
    path.write_text("[cohorts.icu\n")
    with pytest.raises(ConfigurationError, match=r"cohorts.toml cannot be read"):
        load_definition(path)
    path.write_text('[cohorts.icu]\nsexx = "F"\n')
    with pytest.raises(
        ConfigurationError,
        match=r"cohorts.toml is not .*: cohorts\.icu: there is no attribute sexx",
    ):
        load_definition(path)
