"""python -m tests.data.make OUT: makes the data folder that the next version must open.

A node, a worker and a stand-in PACS run as at a hospital: studies come in, reports go out to one destination and to a
folder, a third destination never answers. Then the worker is killed in the middle of a study, and one more arrives. OUT
gets VERSION.tar.gz (see tests.data.archive) and VERSION.json, what is in it (see tests.data.facts). Everything is
synthetic and the key is made for it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydicom import Dataset

from core.clock import month_of
from core.store.fairness.site_audits import Alarm
from core.store.store import Store
from dicom_node.archive import Archive
from dicom_node.network.peers import Destination
from fairness.mitigation_policy import Effect, OperatingPolicy, Rates
from models.package.signatures import new_key, sign_package
from pipeline.data_folder import make_data_folder
from tests.data.archive import pack
from tests.data.facts import facts_of, opened
from tests.e2e.house import House, wait_until
from tests.e2e.reports import SR, arrived
from tests.e2e.service.test_cohorts import store_sr, verified_copy
from tests.e2e.service.test_round_trip import forward
from tests.e2e.service.test_shadow import stricter
from tests.e2e.studies import Radiograph, radiograph_of, send
from tests.known_model import make_known_model
from tests.ports import free_port

MODEL, FINDING = "bright_patch", "bright_patch"
SIDE = 64
PATCH = (16, 32, 8, 24)  # top, bottom, left, right
SEVERAL = 10  # dark images of as many patients: with the others enough for an audit
PACS, FOLDER, AWAY = "PACS", "FOLDER", "AWAY"


def main(out: Path) -> None:
    """Make the folder in a temporary place, and put it and its facts into `out`."""
    os.environ["LOGNAME"] = "operator"  # who registers models and signs, on any machine
    with TemporaryDirectory(prefix="candor-") as place:
        house = House(Path(place))
        fill(house)
        name, facts = version("candor"), facts_of(house.folder)
        pack(house.folder, out / f"{name}.tar.gz")
        (out / f"{name}.json").write_text(as_text(facts), encoding="utf-8")


def as_text(facts: Mapping[str, Any]) -> str:
    """JSON that a person can check: a line for each fact, and for each part of a long one."""
    return "{\n" + ",\n".join(f"  {json.dumps(name)}: {_value(value)}" for name, value in facts.items()) + "\n}\n"


def _value(value: Any) -> str:
    parts = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(parts, list) or not any(isinstance(part, dict | list) for part in parts):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n  }"
    return "[\n" + ",\n".join(f"    {json.dumps(part)}" for part in parts) + "\n  ]"


def fill(house: House) -> None:
    """Let a small hospital happen in a new data folder."""
    node = Destination(name="node", ae_title="CANDOR", host="127.0.0.1", port=house.port, calling_ae_title=PACS)
    with Archive(house.folder / "pacs", ae_title=PACS, port=free_port(), peers=(node,)) as pacs:
        make_data_folder(house.data, settings(house, pacs.port))
        try:
            register_models(house)
            read_studies(house, pacs)
            take_truth_back(house, pacs)
            judge_the_model(house)
            look_closer(house)
            pull_the_plug(house)
        finally:
            house.kill_tree()
    close_databases(house)


def settings(house: House, port: int) -> dict[str, object]:
    """What this hospital sets: a PACS that commits, a folder next to the data folder, and a PACS that is down."""
    pacs = {"name": PACS, "ae_title": PACS, "port": port, "storage_commitment": True}
    folder = {"name": FOLDER, "kind": "folder", "folder": "delivered", "objects": ["sr"], "refused_reports": True}
    away = {"name": AWAY, "ae_title": AWAY, "port": free_port(), "objects": ["sr", "seg"]}
    return {
        "port": house.port,
        "web_port": house.web_port,
        "minimum_free_bytes": 0,
        "quiet_seconds": 0.5,
        "delivery_backoff_seconds": 0.2,
        "delivery_maximum_backoff_seconds": 1.0,
        "trusted_model_keys": [new_key(house.folder / "maker.key")],
        "destinations": [pacs, folder, away],
    }


def register_models(house: House) -> None:
    """One version retired, one live and one shadow, all signed by their maker."""
    packages = house.folder / "packages"
    for package in (
        make_known_model(packages / "1", version="0.9.0"),
        make_known_model(packages / "2", version="1.0.0"),
        stricter(packages / "3"),
    ):
        sign_package(package, house.folder / "maker.key")
        house.run("models", "register", str(package))
    signed = ("--as", "Dr. Test", "--because", "the folder is to hold one of each")
    for number in ("0.9.0", "1.0.0"):  # the second retires the first
        house.run("models", "live", MODEL, number, *signed)


def radiograph(number: int, name: str, *, bright: bool = False, study: str = "", **elements: str) -> Radiograph:
    """A small smooth image of a patient of its own, called `name`; `elements` are what its header says otherwise."""
    pixels = np.tile(np.arange(SIDE, dtype=np.uint8) // 2 + 40 + number, (SIDE, 1))
    if bright:
        top, bottom, left, right = PATCH
        pixels[top:bottom, left:right] = 250

    def change(dataset: Dataset) -> None:
        dataset.AccessionNumber, dataset.PatientName, dataset.PatientID = name, f"Synthetic^{name}", f"ID-{name}"
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return radiograph_of(number, pixels, bright=bright, study_instance_uid=study, change=change)


def read_studies(house: House, pacs: Archive) -> None:
    """Every end that a study can have; waits until all that can be delivered was."""
    house.start("node")
    house.wait_ready()
    positive, first = radiograph(1, "POSITIVE", bright=True), radiograph(3, "LATE", ViewPosition="AP")
    other = radiograph(1, "OTHER", study=positive.study_instance_uid, SOPInstanceUID=positive.sop_instance_uid)
    images = [
        positive,
        radiograph(2, "NEGATIVE", PatientSex="M"),
        first,
        radiograph(4, "HIP", BodyPartExamined="HIP"),
        radiograph(5, "LATERAL", ViewPosition="LL"),
        *(radiograph(20 + number, f"MORE-{number}", PatientSex="FM"[number % 2]) for number in range(SEVERAL)),
    ]
    ends = {"reported": 3 + SEVERAL, "refused": 1, "not_analysed": 1, "failed": 1}
    with damaged(house, radiograph(6, "DAMAGED")), house.store() as store:
        house.start("worker")
        send(images, house.port)
        send([other], house.port)  # the same UID, other bytes
        wait_until(lambda: counts(store) == ends, seconds=180, what="every study to have its end")
        wait_until(lambda: shadows_read(store) == 3 + SEVERAL, seconds=60, what="the shadow")
    # the second image is PA, which is read before AP
    send([radiograph(7, "LATE", bright=True, study=first.study_instance_uid)], house.port)
    with house.store() as store:
        wait_until(lambda: shadows_read(store) == 4 + SEVERAL, seconds=60, what="the second report and its shadow")
        wait_until(lambda: all_delivered(store), seconds=60, what="everything to be delivered")


def counts(store: Store) -> dict[str, int]:
    """How many studies stand in each state that has any."""
    return {state.value: count for state, count in store.studies.counts().items() if count}


def shadows_read(store: Store) -> int:
    """How many readings the shadow version has made."""
    return len(store.shadows.all(MODEL, "2.0.0"))


def all_delivered(store: Store) -> bool:
    """Whether the PACS committed to everything, the folder has its SRs, and the third destination was tried."""
    pacs, folder, away = store.outbox.states([PACS, FOLDER, AWAY])
    return not (pacs.pending or pacs.sent or folder.pending) and away.failures > 0


@contextmanager
def damaged(house: House, image: Radiograph) -> Iterator[None]:
    """Take an image in, and flip a bit of what was kept of it while the block runs: its reading must fail."""
    path = kept_of(house, image)
    sealed = path.read_bytes()
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    yield
    path.write_bytes(sealed)  # the administrator has restored it; `candor retry` has not run yet


def kept_of(house: House, image: Radiograph) -> Path:
    """Send one image while no worker runs; returns the file that it was kept in."""
    objects = house.data / "objects"
    before = set(objects.glob("??/*"))
    send([image], house.port)
    (path,) = set(objects.glob("??/*")) - before
    return path


def take_truth_back(house: House, pacs: Archive) -> None:
    """A person verifies a report in the PACS, which sends it and a result as we made it; others come as a file."""
    report = next(one for one in arrived(pacs) if one.SOPClassUID == SR and one.AccessionNumber == "POSITIVE")
    store_sr(verified_copy(report, observer="Synthetic^Reader"), house.port)
    forward(pacs.filed[0].path.read_bytes(), house.port)
    stop(house, "worker")
    truths = {"POSITIVE": 1, "NEGATIVE": 0, "LATE": 1, "MORE-0": 1, "MORE-1": 0}
    today = datetime.now(UTC).date().isoformat()
    lines = [f"{name},{FINDING},{truth},Synthetic Reader,no,{today}" for name, truth in truths.items()]
    file = house.folder / "truth.csv"
    file.write_text("\n".join(["accession_number,finding,truth,reader,ai_seen,at", *lines]) + "\n")
    house.run("truth", "import", str(file))


def judge_the_model(house: House) -> None:
    """An audit of this site, an alarm, a signed operating policy for men and one that was only proposed."""
    house.run("audit", "--site", "--model", MODEL, "--out", str(house.folder / "audit"))
    with house.store() as store:
        (sha256,) = {record.registration.sha256 for record in store.models.records()}
        store.site_audits.raise_alarms([alarm(sha256)])
        for threshold in (0.05, 0.1):
            store.operating_policies.propose(sha256, policy(threshold).model_dump(mode="json"))
    house.run("mitigation", "sign-off", "1", "--as", "Dr. Synthetic", "--because", "a test", "--yes")


def alarm(sha256: str) -> Alarm:
    """What the daily look at cohorts raises, for which this hospital is too small."""
    return Alarm(
        month=month_of(time.time()),
        model_sha256=sha256,
        finding=FINDING,
        cohort="sex=M",
        figure="psi",
        level="warn",
        value=0.31,
        bound=0.25,
    )


def policy(threshold: float) -> OperatingPolicy:
    """Another threshold for men; the known model gives a dark image 0.12, so below that it is a finding for them."""
    rates = Rates(sensitivity=(0.9, 0.8, 0.95), specificity=(0.7, 0.6, 0.8))
    effect = Effect(
        finding=FINDING,
        cohort="sex=M",
        threshold_before=0.5,
        threshold_after=threshold,
        before=rates,
        after=rates,
        positives=70,
        negatives=80,
        changes=True,
    )
    return OperatingPolicy(by="sex", effects=(effect,))


def look_closer(house: House) -> None:
    """A second method's map of a finding, done by the command itself because no worker runs."""
    arguments = ("POSITIVE", "--finding", FINDING, "--method", "occlusion", "--out", str(house.folder / "closer"))
    house.run("explain", *arguments)


def pull_the_plug(house: House) -> None:
    """Kill the worker while it reads; afterwards another study arrives and a second explanation is asked for."""
    path = kept_of(house, radiograph(8, "CUT", bright=True))
    aside = path.rename(house.folder / "aside")
    path.mkdir()  # the disk refuses, so the worker tries again and again
    house.start("worker")
    wait_until(lambda: is_reading(house), seconds=60, what="the worker to read")
    house.kill("worker")
    path.rmdir()
    aside.rename(path)
    send([radiograph(9, "ARRIVING", PatientSex="M")], house.port)
    stop(house, "node")
    with house.store() as store:
        (study_id,) = store.studies.by_accession_number(["POSITIVE"])["POSITIVE"]
        store.explanations.ask(study_id, FINDING, "class_activation")


def is_reading(house: House) -> bool:
    """Whether a study is being read, and its workflow is written down."""
    with opened(house.folder) as database, opened(house.folder, "workflows.db") as workflows:
        pending = workflows.value("SELECT count(*) FROM workflow_status WHERE status = 'PENDING'")
        return bool(pending and database.value("SELECT count(*) FROM studies WHERE state = 'reading'"))


def stop(house: House, name: str) -> None:
    """Ask one process to end, and wait for it."""
    process = house.processes.pop(name)
    process.terminate()
    process.wait(timeout=30)


def close_databases(house: House) -> None:
    """Write what the killed worker left in its log files into the databases: the last to close one does."""
    with opened(house.folder) as database, opened(house.folder, "workflows.db") as workflows:
        assert not database.problems() + workflows.problems()
    assert not list(house.data.glob("*-wal")), "somebody still has a database open"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
