"""A policy judges an audit: ok, warn or block, with reasons that name finding, cohort and figure."""

from __future__ import annotations

import json

import pytest

from core.documents.reading import read_document
from core.errors import ConfigurationError
from fairness.audit.nouns import Audit, Provenance, Row
from fairness.audit.nouns import Test as GapTest
from fairness.policy import DEFAULT, Level, Policy, judge, load_policy

PROVENANCE = Provenance(code_version="0", made_at="2026-11-01", source="test")


def parse_policy(entries):
    return read_document(Policy, json.dumps(entries), "policy.toml")


STRICT = parse_policy(
    {
        "floors": {"sensitivity": {"lower_bound": 0.7, "level": "block"}},
        "gaps": {"sensitivity": {"at_most": 0.1, "level": "warn"}},
    }
)


def row(cohort="all", low=0.8, metric="sensitivity", note=""):
    return Row(finding="effusion", metric=metric, cohort=cohort, value=0.85, low=low, high=0.9, note=note)


def gap(size, p_holm, cohort="view=AP", metric="fnr_gap"):
    return GapTest(finding="effusion", metric=metric, cohort=cohort, gap=size, p=0.001, p_holm=p_holm, q=0.001)


def audit(*rows, tests=()):
    return Audit(provenance=PROVENANCE, rows=rows, tests=tests)


def test_what_holds_is_ok():
    verdict = judge(audit(row(), row("view=AP", low=0.7), tests=[gap(0.3, 0.2), gap(0.1, 0.01)]), STRICT)
    assert (verdict.level, verdict.reasons) == (Level.OK, ())


def test_a_cohort_under_the_floor_blocks_and_is_named_before_what_only_warns():
    verdict = judge(audit(row(), row("sex=F & view=AP", low=0.61), tests=[gap(0.12, 0.01)]), STRICT)
    assert verdict.level is Level.BLOCK
    assert verdict.reasons == (
        "block: effusion, women, view AP: the lower bound of sensitivity is 0.61, under 0.70",
        "warn: effusion, view AP: sensitivity is 0.12 lower than in the other patients, over 0.10 "
        "(p = 0.010 after Holm)",
    )


def test_a_gap_counts_only_when_it_survives_holm():
    assert judge(audit(row(), tests=[gap(0.2, 0.049)]), STRICT).level is Level.WARN
    assert judge(audit(row(), tests=[gap(0.2, 0.051)]), STRICT).level is Level.OK
    assert judge(audit(row(), tests=[gap(0.2, 0.01, metric="fpr_gap")]), STRICT).level is Level.OK


@pytest.mark.parametrize("note", ["suppressed: fewer than 11", "insufficient data: 12 positives"])
def test_what_is_not_known_is_judged_as_the_policy_says(note):
    unknown = audit(row(), row("view=LL", low=0.2, note=note))
    assert judge(unknown, STRICT).level is Level.OK
    verdict = judge(
        unknown, parse_policy({"floors": {"sensitivity": {"lower_bound": 0.7}}, "insufficient": {"level": "warn"}})
    )
    assert verdict.reasons == ("warn: effusion, view LL: too little data to judge sensitivity",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"floor": {}}, "not a fairness policy: there is no floor; there are floors, gaps, insufficient"),
        ({"floors": {"recall": {}}}, "floors: there is no recall; there are sensitivity, "),
        (
            {"floors": {"sensitivity": {"lower_bound": 70}}},
            r"sensitivity\.lower_bound must be less than or equal to 1",
        ),
        ({"floors": {"sensitivity": {"lower_bound": -0.1}}}, r"lower_bound must be greater than or equal to 0"),
        (
            {"floors": {"sensitivity": {"lower_bound": True}}},
            r"sensitivity\.lower_bound must be a valid number",
        ),
        (
            {"floors": {"sensitivity": {"lower_bound": "0.7"}}},
            r"sensitivity\.lower_bound must be a valid number",
        ),
        (
            {"floors": {"sensitivity": {"lower_bound": 0.7, "lvl": "warn"}}},
            "no lvl; there are lower_bound, level",
        ),
        ({"floors": {"sensitivity": {}}}, r"floors\.sensitivity\.lower_bound is missing"),
        (
            {"gaps": {"sensitivity": {"at_most": 0.1, "level": "stop"}}},
            "sensitivity.level must be 'ok', 'warn' or 'block'",
        ),
        ({"gaps": {"auroc": {"at_most": 0.1}}}, "gaps: there is no auroc"),
        ({"floors": 3}, "floors must be an object"),
    ],
)
def test_a_wrong_policy_is_named_by_its_place(document, words):
    with pytest.raises(ConfigurationError, match=words):
        parse_policy(document)


def test_without_a_file_the_default_warns(tmp_path):
    assert load_policy(None) is load_policy(tmp_path / "none.toml") is DEFAULT
    assert judge(audit(row(low=0.5)), DEFAULT).level is Level.WARN
    path = tmp_path / "policy.toml"
    path.write_text("[floors.sensitivity]\nlower_bound = 0.4\n")
    assert judge(audit(row(low=0.5)), load_policy(path)).level is Level.OK
    path.write_text("[floors\n")
    with pytest.raises(ConfigurationError, match=r"policy.toml cannot be read"):
        load_policy(path)
