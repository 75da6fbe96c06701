"""kill -9 at random moments while studies come in: nothing that was answered 0x0000 is lost or doubled."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.house import children_of, wait_until
from tests.e2e.reports import SR, arrived, reports_by_study
from tests.e2e.studies import radiograph, send_until_kept

KILLS = int(os.environ.get("TORTURE_KILLS", "4"))  # `make torture` has twenty; each kind of victim dies here
STUDIES = 3 * KILLS
PAUSE_SECONDS = (0.0, 1.0)
VICTIMS = ("node", "worker", "runner", "tree")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc").exists(), reason="victims are found in /proc, which only Linux has"),
]


MARKS = {"node": "api node", "worker": "api worker", "runner": "multiprocessing.spawn"}


def victim_of(kind, house):
    """The process id of a victim; waits until there is one, for after each kill something has to come back."""

    def look():
        family = children_of(house.processes["serve"].pid)
        return next((pid for pid, command in family.items() if MARKS[kind] in command), None)

    return wait_until(look, seconds=60, what=f"the {kind} to be there again")


def kill_one(house, kind, pause_seconds):
    """Wait until the victim lives, let it work for a random moment, then kill -9."""
    victim = victim_of("runner" if kind == "tree" else kind, house)
    time.sleep(pause_seconds)
    if kind == "tree":
        house.kill_tree()
        house.start("serve")
        return
    with suppress(ProcessLookupError):  # it may have died with its parent a moment ago
        os.kill(victim, signal.SIGKILL)


def test_kill_9_at_random_moments_loses_nothing_and_doubles_nothing(house, archive):
    seed = random.randrange(10_000)
    dice = random.Random(seed)
    house.start("serve")
    house.wait_ready()
    images = [radiograph(number, bright=number % 3 == 0) for number in range(STUDIES)]
    kept = []

    def send_slowly(image):
        time.sleep(dice.uniform(0.0, 4.0))  # so that images come in during all of the kills
        send_until_kept(image, house.port, patience_seconds=300)
        kept.append(image.study_instance_uid)

    with ThreadPoolExecutor(4) as modalities:
        sending = [modalities.submit(send_slowly, image) for image in images]
        for number in range(KILLS):
            kill_one(house, VICTIMS[number % len(VICTIMS)], dice.uniform(*PAUSE_SECONDS))
        for result in sending:
            result.result()
    wait_until(lambda: len(reports_by_study(archive)) == STUDIES, seconds=240, what=f"all reports (seed {seed})")
    with house.store() as store:
        wait_until(lambda: store.studies.counts()["reported"] == STUDIES, seconds=60, what="all pictures")
        wait_until(lambda: store.outbox.states(["ARCHIVE"])[0].pending == 0, seconds=60, what="an empty outbox")
        assert store.trail.verify() == []
    reports = reports_by_study(archive)
    assert set(reports) == set(kept) == {image.study_instance_uid for image in images}
    doubled = {uid: len(found) for uid, found in reports.items() if len(found) != 1}
    assert doubled == {}, f"seed {seed}"
    uids = [str(d.SOPInstanceUID) for d in arrived(archive)]
    assert len(uids) == len(set(uids))
    assert archive.conflicts == 0, f"seed {seed}"
    bright = {image.study_instance_uid for image in images if image.bright}
    with_objects = {str(d.StudyInstanceUID) for d in arrived(archive) if d.SOPClassUID != SR}
    assert with_objects == bright
