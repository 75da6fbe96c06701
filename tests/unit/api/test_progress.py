"""Long work shows how far it is: bars on a terminal, a line per twentieth in a log file; and it can be cancelled."""

from io import StringIO

import pytest
from rich.console import Console

from api.cli.progress import shown_progress
from core.errors import Cancelled
from core.progress import cancellable, silent


def test_a_log_file_gets_a_line_per_twentieth(capsys):
    with shown_progress(Console(file=StringIO(), force_terminal=False)) as progress:
        for step in range(1, 1001):
            progress("training", step, 1000, f"loss {1 / step:.2f}")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[0] == "training: 1 of 1,000, loss 1.00"
    assert lines[-1] == "training: 1,000 of 1,000, loss 0.00"


def test_work_of_unknown_length_is_one_line(capsys):
    with shown_progress(Console(file=StringIO(), force_terminal=False)) as progress:
        for passes in range(50):
            progress("occlusion of effusion", passes, 0)
    assert capsys.readouterr().err == "occlusion of effusion: 0\n"


def test_kinds_of_work_do_not_hide_each_other(capsys):
    with shown_progress(Console(file=StringIO(), force_terminal=False)) as progress:
        progress("training", 1, 1)
        progress("fitting the control", 1, 1)
    assert capsys.readouterr().err.splitlines() == ["training: 1 of 1", "fitting the control: 1 of 1"]


def test_a_terminal_gets_a_bar_for_each_kind_of_work_and_is_left_clean():
    file = StringIO()
    with shown_progress(Console(file=file, force_terminal=True, width=100)) as progress:
        progress("training", 3, 10, "loss 0.31 [a]")
        progress("reading images", 0, 0)
    drawn = file.getvalue()
    assert "training, loss 0.31 [a]" in drawn
    assert "reading images" in drawn
    assert drawn.rstrip().endswith("\x1b[2K")  # the bars are wiped


def test_work_that_is_cancelled_ends_at_its_next_step():
    seen = []
    progress = cancellable(lambda: len(seen) == 2, lambda what, done, total, note="": seen.append(done))

    def work():
        for step in range(9):
            progress("forward passes", step, 9)

    with pytest.raises(Cancelled, match=r"cancelled after 2 of 9 forward passes"):
        work()
    assert seen == [0, 1]


def test_silence_never_ends_the_work():
    silent("training", 1, 2)
    cancellable(lambda: False)("training", 1, 2)
