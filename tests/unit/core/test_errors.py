"""One tree of errors: every class is in core.errors, in its drawing, and has a row in the table."""

import ast

import pytest

import core.errors
from core.errors import ANSWERS, CandorError, InvalidStudy, Refusal, RunnerDied, answer_for
from tests.architecture.sources import ROOMS, files, nodes, place


def subclasses(kind):
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def classes_with_bases():
    """(file, class, names of its bases) of every class in every room."""
    for path in files(".py", tops=ROOMS):
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                bases = {b.attr if isinstance(b, ast.Attribute) else getattr(b, "id", "") for b in node.bases}
                yield place(path), node.name, bases


def errors_of_ours():
    """Where each class that descends from CandorError is defined."""
    found, before = {"CandorError": "core/errors.py"}, 0
    while len(found) > before:
        before = len(found)
        found |= {name: path for path, name, bases in classes_with_bases() if bases & set(found)}
    return found


def test_every_error_of_every_room_is_in_the_tree_and_has_a_row():
    found = errors_of_ours()
    assert set(found.values()) == {"core/errors.py"}
    assert {kind.__name__ for kind in ANSWERS} == set(found)
    assert subclasses(CandorError) >= set(ANSWERS)


def test_the_tree_is_drawn_as_it_is():
    drawn = core.errors.__doc__.split("\n\n")[1]
    for kind in ANSWERS:
        assert kind.__name__ in drawn
        depth = len(kind.__mro__) - len(CandorError.__mro__)
        (line,) = [line for line in drawn.splitlines() if f"{kind.__name__} " in f"{line} "]
        assert line.index(kind.__name__) == 4 + 4 * depth


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_more_special_error_is_answered_like_itself(kind):
    class Special(kind):
        pass

    assert answer_for(Special("x")) == ANSWERS[kind]


def test_an_error_of_a_library_is_answered_as_unexpected():
    assert answer_for(ValueError("x")) == ANSWERS[CandorError]


def test_a_runner_that_died_is_tried_again():
    assert answer_for(RunnerDied("x")).retry


def test_what_is_wrong_with_an_object_can_be_said_more_exactly():
    assert InvalidStudy("x").refusal is Refusal.CANNOT_UNDERSTAND
    assert InvalidStudy("x", refusal=Refusal.DOES_NOT_MATCH).refusal is Refusal.DOES_NOT_MATCH
