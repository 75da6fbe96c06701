"""The trail: any edit, deletion, cut, reordering or restored copy shows, also to somebody with the database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, select, update

from core.clock import SettableClock, system_clock
from core.domain.trail import TrailEvent
from core.errors import IntegrityError
from core.store.engine import open_engine
from core.store.keys import SiteKey
from core.store.tables.trail import trail_events, trail_head
from core.store.trail import Trail
from core.trail import GENESIS, seal_event, seal_head

KEY = SiteKey.generate()
EVENT = TrailEvent(action="instance.received", actor="CT1", outcome="success", subject="abc", source="127.0.0.1")
LENGTH = 6


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlcipher:///{tmp_path / 'candor.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url, KEY)
    with engine.begin() as connection:
        trail_events.metadata.create_all(connection, tables=[trail_events, trail_head])
    yield engine
    engine.dispose()


@pytest.fixture
def trail(engine: Engine) -> Trail:
    trail = Trail(engine, KEY, now=SettableClock(1_800_000_000))
    for number in range(LENGTH):
        trail.record(replace(EVENT, reason=f"event {number + 1}"))
    return trail


def execute(engine: Engine, *statements: object) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def test_a_trail_left_alone_is_whole(trail: Trail) -> None:
    assert trail.verify() == []
    links = list(trail.events())
    assert [link.seq for link in links] == [1, 2, 3, 4, 5, 6]
    assert links[0].previous == GENESIS
    assert links[0].at == "2027-01-15T08:00:00.000000+00:00"
    assert links[2].event == replace(EVENT, reason="event 3")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", "2020-01-01T00:00:00.000000+00:00"), ("action", "x"), ("actor", "CT2"), ("outcome", "failure"),
        ("subject", "abd"), ("source", "127.0.0.2"), ("reason", ""), ("hash", "0" * 64), ("previous", "1" * 64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seq", [1, 3, LENGTH])
def test_an_edit_shows(trail: Trail, engine: Engine, seq: int, field: str, value: str) -> None:
    execute(engine, update(trail_events).where(trail_events.c.seq == seq).values({field: value}))
    assert f"event {seq} was changed" in trail.verify()


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (trail_events.c.seq == 1, "event 1 is missing"),
        (trail_events.c.seq == 3, "event 3 is missing"),
        (trail_events.c.seq.between(2, 4), "events 2 to 4 are missing"),
        (trail_events.c.seq == LENGTH, "event 6 is missing"),
        (trail_events.c.seq > 3, "events 4 to 6 are missing"),
        (trail_events.c.seq > 0, "events 1 to 6 are missing"),
    ],
)
def test_a_deletion_shows_wherever_it_is(trail: Trail, engine: Engine, condition: object, sentence: str) -> None:
    execute(engine, delete(trail_events).where(condition))  # type: ignore[arg-type]
    assert trail.verify() == [sentence]


def test_two_events_that_change_places_show(trail: Trail, engine: Engine) -> None:
    seq = trail_events.c.seq
    moves = [update(trail_events).where(seq == a).values(seq=b) for a, b in [(2, 99), (4, 2), (99, 4)]]
    execute(engine, *moves)
    problems = trail.verify()
    assert "event 2 was changed" in problems
    assert "event 4 was changed" in problems


def test_a_copy_added_at_the_end_shows(trail: Trail, engine: Engine) -> None:
    row = select(7, *trail_events.c[1:]).where(trail_events.c.seq == 3)
    execute(engine, trail_events.insert().from_select(list(trail_events.c.keys()), row))
    assert "event 7 was changed" in trail.verify()


def test_somebody_with_the_database_but_not_the_key_cannot_mend_the_chain(trail: Trail, engine: Engine) -> None:
    """The forger knows the code and rewrites the tail and the head, with a key of their own."""
    forger = b"f" * 32
    links = list(trail.events())
    forged = seal_event(forger, LENGTH, links[-1].at, replace(EVENT, actor="SOMEBODY_ELSE"), links[-1].previous)
    head = seal_head(forger, LENGTH, forged.hash)
    execute(
        engine,
        update(trail_events)
        .where(trail_events.c.seq == LENGTH)
        .values(actor="SOMEBODY_ELSE", reason="", hash=forged.hash),
        update(trail_head).values(hash=head.hash, seal=head.seal),
    )
    assert trail.verify() == ["event 6 was changed", "the head of the trail was changed"]


def test_a_head_that_is_cut_back_with_the_tail_shows(trail: Trail, engine: Engine) -> None:
    links = list(trail.events())
    execute(
        engine,
        delete(trail_events).where(trail_events.c.seq > 3),
        update(trail_head).values(seq=3, hash=links[2].hash),  # the seal of head 3 is not in the database any more
    )
    assert trail.verify() == ["the head of the trail was changed"]


def test_a_head_that_is_gone_shows(trail: Trail, engine: Engine) -> None:
    execute(engine, delete(trail_head))
    assert trail.verify() == ["the head of the trail is missing"]


def test_a_whole_earlier_state_that_was_put_back_shows_against_a_head_kept_elsewhere(
    trail: Trail, engine: Engine
) -> None:
    with engine.connect() as connection:
        earlier = connection.execute(select(trail_head)).one()._asdict()
    before = trail.head()
    trail.record(EVENT)
    kept = trail.head()
    assert before is not None
    assert kept is not None
    assert trail.verify([before, kept]) == []
    execute(engine, delete(trail_events).where(trail_events.c.seq > LENGTH), update(trail_head).values(earlier))
    assert trail.verify() == []  # the database alone cannot know
    assert trail.verify([before]) == []
    assert trail.verify([kept]) == ["the trail was put back: the head kept elsewhere speaks of event 7"]
    trail.record(replace(EVENT, actor="CT2"))
    assert trail.verify([kept]) == ["event 7 is not the one that the head kept elsewhere speaks of"]
    with pytest.raises(IntegrityError, match="not signed"):
        trail.verify([replace(kept, seq=6)])


def test_the_event_and_the_change_are_both_in_or_neither(trail: Trail, engine: Engine) -> None:
    class Interrupted(Exception):
        pass

    with pytest.raises(Interrupted), engine.begin() as connection:  # noqa: PT012
        trail.record_in(connection, EVENT)
        raise Interrupted
    assert len(list(trail.events())) == LENGTH
    trail.record(EVENT)
    assert trail.verify() == []


def test_rotation_of_the_site_key_keeps_the_trail_whole(trail: Trail, engine: Engine) -> None:
    later = Trail(engine, KEY.rotated(), now=system_clock)
    later.record(EVENT)
    assert later.verify() == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40))
def test_any_words_survive_the_way_through_the_database(engine: Engine, words: str) -> None:
    trail = Trail(engine, KEY, now=system_clock)
    trail.record(replace(EVENT, reason=words, actor=words[:16]))
    assert trail.verify() == []


RECORD = """
import sys
from core.clock import system_clock
from core.domain.trail import TrailEvent
from core.store.trail import Trail
from core.store.engine import open_engine
from core.store.keys import SiteKey
key = SiteKey.from_text(sys.argv[2])
trail = Trail(open_engine(sys.argv[1], key), key, now=system_clock)
for _ in range(40):
    trail.record(TrailEvent(action="instance.received", actor=sys.argv[3], outcome="success"))
"""


def record_from_processes(url: str, actors: list[str]) -> None:
    """Write 40 events from each of several processes at the same time."""
    started = [
        subprocess.Popen([sys.executable, "-c", RECORD, url, KEY.to_text(), actor], stderr=subprocess.PIPE, text=True)
        for actor in actors
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def test_several_processes_write_one_chain(engine: Engine, url: str) -> None:
    record_from_processes(url, ["CT1", "CT2", "CT3"])
    with engine.connect() as connection:
        counts = connection.execute(select(trail_events.c.actor, func.count()).group_by(trail_events.c.actor)).all()
    assert sorted(map(tuple, counts)) == [("CT1", 40), ("CT2", 40), ("CT3", 40)]
    assert Trail(engine, KEY, now=system_clock).verify() == []
