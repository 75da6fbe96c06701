"""A retrained model compared with the shipped one: what is in the old intervals, and what is not."""

from datasets.training.reproduced import outside


def test_a_figure_is_outside_where_the_new_value_misses_the_old_interval() -> None:
    shipped = {"held_out": {"edema": {"auroc": [0.9, 0.8, 0.95], "positives": 24}}, "ece": [0.02, 0.01, 0.05]}
    retrained = {"held_out": {"edema": {"auroc": [0.8, 0.7, 0.9]}}, "ece": [0.06, 0.02, 0.08], "more": [1.0, 0.0, 2.0]}
    assert outside(shipped, retrained) == (2, {"/ece": ((0.02, 0.01, 0.05), (0.06, 0.02, 0.08))})


def test_figures_that_are_unknown_on_either_side_are_not_compared() -> None:
    assert outside({"auroc": [None, None, None]}, {"auroc": [0.8, 0.7, 0.9]}) == (0, {})
