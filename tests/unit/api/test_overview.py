"""Seconds per hop, as the demo, analyze and the web process show them."""

from dataclasses import replace

from core.domain.study import StudyState
from core.store.studies.overview import StudyTimes

WHOLE = StudyTimes(
    study_id="abc",
    state=StudyState.REPORTED,
    reason="",
    revision=1,
    images=2,
    waiting=0,
    first_received_at=100.0,
    last_received_at=101.0,
    completed_at=103.0,
    reported_at=103.5,
    delivered_at=103.75,
    illustrated_at=104.75,
)


def test_each_hop_begins_where_the_last_one_ended():
    assert WHOLE.hops() == {
        "received": 1.0,
        "assembled": 2.0,
        "reported": 0.5,
        "delivered": 0.25,
        "total": 2.75,
        "illustrated": 1.0,
    }


def test_a_hop_that_did_not_happen_is_left_out():
    refused = replace(WHOLE, state=StudyState.REFUSED, delivered_at=None, illustrated_at=None)
    assert refused.hops() == {"received": 1.0, "assembled": 2.0, "reported": 0.5, "total": 2.5}
    assert replace(refused, completed_at=None, reported_at=None).hops() == {"received": 1.0, "total": 0.0}


def test_a_study_is_over_when_nothing_is_on_its_way():
    assert WHOLE.is_over
    assert not replace(WHOLE, waiting=1).is_over
    assert not replace(WHOLE, state=StudyState.READING).is_over
