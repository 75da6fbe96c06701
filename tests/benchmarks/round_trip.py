"""How long from the last image of a study to its report at the PACS, hop by hop.

    python -m tests.benchmarks.round_trip [--studies 60] [--associations 4] [--known-model] [--faithfulness every]

Sends radiographs (real ones of ../shared where they are at hand, synthetic ones otherwise) wrapped as DX objects over
several associations at once to a real `candor serve`, with the stand-in archive as the PACS, everything on this
machine. Prints the median and the 95th percentile of each hop, and the time beyond the quiet period.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dicom_node.archive import Archive
from tests.benchmarks.real_radiographs import real_radiographs
from tests.e2e.house import House, children_of, destination, wait_until
from tests.e2e.reports import SR
from tests.e2e.studies import Radiograph, radiograph, send_until_kept
from tests.known_model import make_known_model
from tests.ports import free_port

QUIET_SECONDS = 2.0


def main() -> None:
    """Run the benchmark and print its table; exits 1 when a report is missing."""
    arguments = _arguments()
    images = real_radiographs(arguments.studies) or [
        radiograph(number, bright=number % 3 == 0) for number in range(arguments.studies)
    ]
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder) / "archive", ae_title="PACS", port=free_port())
        archive.start()
        house = _house(Path(folder), archive, arguments)
        try:
            sys.exit(_measure(house, archive, images, arguments.associations))
        finally:
            house.kill_tree()
            archive.stop()


def _measure(house: House, archive: Archive, images: Sequence[Radiograph], associations: int) -> int:
    house.start("serve")
    house.wait_ready()
    wait_until(lambda: "model.ready" in house.log(), seconds=60, what="the worker")
    time.sleep(3.0)  # the worker is up; let the machine settle
    before = _cpu_seconds(house)
    with ThreadPoolExecutor(associations) as modalities:
        kept = dict(
            zip(
                (image.study_instance_uid for image in images),
                modalities.map(lambda image: send_until_kept(image, house.port), images),
                strict=True,
            )
        )
    wait_until(lambda: len(_arrivals(archive)) >= len(images), seconds=180, what="every report")
    after = _cpu_seconds(house)
    _print_table(house, kept, _arrivals(archive), len(archive.filed))
    used = ", ".join(f"{name} {after[name] - before.get(name, 0.0):.1f}" for name in after)
    print(f"CPU seconds: {used}")
    return 0


def _arrivals(archive: Archive) -> dict[str, float]:
    """When the SR of each study reached the archive, seconds since the epoch."""
    return {
        filed.instance.study_instance_uid: filed.filed_at or 0.0
        for filed in archive.filed
        if filed.instance.sop_class_uid == SR
    }


def _print_table(house: House, kept: dict[str, float], arrived: dict[str, float], objects: int) -> None:
    hops: dict[str, list[float]] = {"receive -> assemble": [], "assemble -> report": [], "report -> PACS": []}
    total = []
    with house.store() as store:
        rows = {row.study_id: row for row in store.studies.rows(limit=10_000)}
        for uid, arrival in arrived.items():
            study = store.study_id_of(uid)
            report = store.reports.current(study)
            assert report is not None
            hops["receive -> assemble"].append(report.completed_at - rows[study].last_received_at)
            hops["assemble -> report"].append(report.filed_at - report.completed_at)
            hops["report -> PACS"].append(arrival - report.filed_at)
            total.append(arrival - kept[uid])
        runs = store.predictions.runs()
        documents = [report.document for row in rows if (report := store.reports.current(row)) is not None]
    maps = [f["saliency"] for document in documents for f in document["findings"] if f["saliency"]]
    sending = max(kept.values()) - min(kept.values())
    print(f"{len(arrived)} reports, {objects} objects, {runs} model runs; all images were in within {sending:.2f} s")
    print(f"{sum(m['faithfulness'] is not None for m in maps)} of {len(maps)} maps measured")
    print(f"{'hop':24}{'p50':>8}{'p95':>8}   seconds")
    for name, seconds in [*hops.items(), ("last image -> PACS", total)]:
        print(f"{name:24}{statistics.median(seconds):8.2f}{_p95(seconds):8.2f}")
    beyond = statistics.median(total) - QUIET_SECONDS
    print(f"median beyond the quiet period of {QUIET_SECONDS:g} s: {beyond:.2f} s")


def _cpu_seconds(house: House) -> dict[str, float]:
    """CPU time of each process so far; ours is the senders and the archive."""
    marks = {"api node": "node", "api worker": "worker", "api web": "web", "multiprocessing.spawn": "runner"}
    used = {"senders and archive": time.process_time()}
    for pid, command in children_of(house.processes["serve"].pid).items():
        name = next((name for mark, name in marks.items() if mark in command), None)
        if name is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]


def _house(folder: Path, archive: Archive, arguments: argparse.Namespace) -> House:
    home = folder / "house"
    home.mkdir()
    lines = (f"quiet_seconds = {QUIET_SECONDS}", f'faithfulness = "{arguments.faithfulness}"')
    packages = (make_known_model(home / "packages"),) if arguments.known_model else ()
    house = House(home, lines=lines, destinations=(destination("ARCHIVE", archive.port),), packages=packages)
    house.make()
    return house


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--known-model", action="store_true", help="the tests' tiny model instead of the shipped one")
    parser.add_argument("--faithfulness", choices=("every", "sampled", "off"), default="every")
    return parser.parse_args()


if __name__ == "__main__":
    main()
