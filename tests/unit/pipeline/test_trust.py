"""When a map is shown, how finely it is measured, and which studies are drawn for the sample."""

import dataclasses
import threading

import pytest

from core.domain.explanation import Faithfulness
from core.settings import Settings
from explain.faithfulness import LESS, MORE, STANDARD
from pipeline.reading.measuring import SAMPLE_OF, budget_within, is_drawn
from pipeline.reading.turns import Turns
from pipeline.results_json import StudyEntry
from pipeline.trust import NOT_MEASURED, distrust, say_unmeasured, withhold_all, withhold_unfaithful
from tests.contract.encode.cases import FAITHFULNESS, finding, report, saliency

GOOD = Faithfulness(deletion_auc=0.2, insertion_auc=0.7, null_percentile=86.0, stability=0.9, forward_passes=24)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"null_percentile": 50.0}, ""),
        ({"null_percentile": 43.0}, "57 % of maps that cannot know the model are as good on this image"),
        ({"stability": 0.8}, ""),
        ({"stability": 0.79}, "small changes of the image move it (stability 0.79, at least 0.8)"),
    ],
)
def test_a_map_is_distrusted_by_its_own_figures(changes, words):
    measured = dataclasses.replace(GOOD, **changes)
    assert distrust(measured) == words
    (judged_map,) = withhold_unfaithful((saliency(faithfulness=measured),))
    assert (judged_map.shown, judged_map.withheld_reason) == (not words, words)


def test_a_map_without_figures_is_not_shown_and_the_report_says_so():
    maps = withhold_unfaithful((saliency(faithfulness=None),))
    assert (maps[0].shown, maps[0].withheld_reason) == (False, "how far to trust it is not measured")
    assert say_unmeasured(maps) == (NOT_MEASURED,)
    assert say_unmeasured(withhold_unfaithful((saliency(),))) == ()
    assert say_unmeasured(withhold_all(maps, "its model failed")) == ()


def test_maps_of_a_closed_gate_are_withheld_whatever_their_figures():
    (shut,) = withhold_all((saliency(faithfulness=GOOD),), "its model failed")
    assert (shut.shown, shut.withheld_reason) == (False, "its model failed")


@pytest.mark.parametrize(("passes", "budget"), [(14, LESS), (23, LESS), (25, STANDARD), (99, STANDARD), (500, MORE)])
def test_the_finest_budget_that_fits_is_taken(passes, budget):
    assert budget_within(passes) == budget


def test_the_default_budget_is_at_most_25_forward_passes(tmp_path):
    settings = Settings(data_dir=tmp_path)
    assert (settings.faithfulness, settings.faithfulness_passes) == ("every", 25)
    assert budget_within(settings.faithfulness_passes).forward_passes <= 25


def test_about_one_study_in_ten_is_drawn_and_always_the_same_ones():
    uids = [f"1.2.826.0.1.{number}" for number in range(5000)]
    drawn = [is_drawn(uid) for uid in uids]
    assert drawn == [is_drawn(uid) for uid in uids]
    assert 0.08 < sum(drawn) / len(drawn) < 0.12
    assert SAMPLE_OF == 10


def test_it_is_crowded_when_more_come_than_have_a_place():
    turns = Turns(1)
    with turns.reporting():
        assert not turns.is_crowded
        waiting = threading.Thread(target=lambda: turns.reporting().__enter__())
        waiting.start()
        while not turns.is_crowded:
            waiting.join(0.01)
    waiting.join(5.0)
    assert not turns.is_crowded


def test_what_is_drawn_has_the_figures_of_the_document():
    measured, unmeasured = saliency(), saliency(finding_name="effusion", faithfulness=None)
    findings = (finding(), finding("effusion"), finding("edema"))
    entry = StudyEntry.of(report(findings=findings, saliencies=(measured, unmeasured)))
    assert StudyEntry.model_validate(entry.document()).faithfulness_of(0) == {"lung_opacity": FAITHFULNESS}
    assert entry.faithfulness_of(1) == {}
