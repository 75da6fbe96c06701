"""A disk that is full in the middle of a reading: what was acknowledged is reported once there is room again."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys, time
from pathlib import Path
import pipeline.assemble
from core.log import configure_logging
from core.store.store import open_store
from pipeline.assemble import Assembler
from pipeline.data_folder import make_data_folder
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from pipeline.worker import _workflow_engine
from pipeline.workflow import StudyWorkflow
from tests.store_fixtures import arrival

def room(is_left):
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if is_left else 0, most))

configure_logging(json=True)
pipeline.assemble.LOOK_AGAIN_SECONDS = 0.5
settings = make_data_folder(Path(sys.argv[1]) / "data", {"minimum_free_bytes": 0, "quiet_seconds": 0.0})
store = open_store(settings)
models = LocalModels((), store.objects, threads=1)
reader = RememberingReader(store, (), models, Turns(1), settings)
filled = []

def fill_up():
    if not filled:
        filled.append(True)
        room(False)

workflow = StudyWorkflow(store, reader, settings, fill_up)
assembler = Assembler(store, settings, workflow.start)
with _workflow_engine(settings, store, "worker"):
    store.intake.keep(arrival("1", "1"))
    store.intake.close_association("a1")
    fulls, deadline = 0, time.monotonic() + 40
    while time.monotonic() < deadline and store.lookup.newest()[0].state != "refused":
        try:
            assembler.tick()
        except Exception:
            fulls += 1
        time.sleep(0.1)
        if filled and len(filled) < 30:
            filled.append(True)
        elif filled:
            room(True)
    print(store.lookup.newest()[0].state, store.lookup.newest()[0].revision, len(filled))
models.close()
store.close()
"""


def test_a_study_whose_reading_met_a_full_disk_is_read_when_there_is_room(tmp_path):
    """It stayed "reading" until the worker was started again: the reading had ended, and could not say so."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["refused", "1", "30"], done.stdout + done.stderr
    assert "study.failed" not in done.stderr
