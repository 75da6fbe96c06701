"""What came back to the stand-in PACS for each demo study, and whether that is what was promised.

The judgement rests on the DICOM objects that arrived: the words of the SR, and the peak of the fractional
segmentation. The store is only asked for states and times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from core.domain.study import StudyState
from core.store.store import Store
from core.store.studies.overview import Overview, StudyTimes
from datasets.demo.studies import DemoStudy, PlantedRegion
from dicom_node.archive import Archive, Filed
from dicom_node.header.read import read_header
from dicom_node.header.sr_text import render_text
from dicom_node.header.values import Values
from dicom_node.pixels.frames import read_frame
from dicom_node.sop_classes import RESULT_SOP_CLASSES
from pipeline.results_json import CohortEntry, FindingEntry, StudyEntry

SEG, _, GSPS, SC, _, SR = RESULT_SOP_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One demo study and everything that came back for it; `entry`: the report's, None without one."""

    study: DemoStudy
    times: StudyTimes
    entry: StudyEntry | None
    sr_texts: list[str] = field(repr=False)
    sop_classes: frozenset[str]
    peaks: dict[str, tuple[int, int]]  # finding -> (row, column) of its fractional segmentation's highest value
    overlays: list[Path]

    @property
    def name(self) -> str:
        return self.study.path.stem

    @property
    def findings(self) -> tuple[FindingEntry, ...]:
        """What the report says, positive or not."""
        return self.entry.findings if self.entry else ()

    @property
    def cohorts(self) -> tuple[CohortEntry, ...]:
        """How well the model does for patients like this one."""
        return self.entry.cohorts if self.entry else ()


def outcomes_of(studies: Sequence[DemoStudy], store: Store, archive: Archive, output: Path) -> list[Outcome]:
    """What became of each study; writes the overlays as PNG below `output`."""
    return [_outcome(study, store, archive, output) for study in studies]


def problems_of(outcomes: Sequence[Outcome]) -> list[str]:
    """One sentence for each promise that was not kept."""
    return [f"{outcome.name}: {problem}" for outcome in outcomes for problem in _problems(outcome)]


def said_by(sr_text: str) -> dict[str, bool]:
    """Whether the SR says that a finding is flagged on any image, by the meaning of its code."""
    said: dict[str, bool] = {}
    finding = ""
    for line in sr_text.splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Finding":
            finding = value.rpartition(" (")[0]
        elif name == "Result":
            said[finding] = said.get(finding, False) or value.startswith("Flagged")
    return said


def _outcome(study: DemoStudy, store: Store, archive: Archive, output: Path) -> Outcome:
    study_id = store.study_id_of(study.study_instance_uid)
    times = Overview(store.engine).times_of(study_id)
    report = store.reports.current(study_id)
    assert times is not None, "the demo waited for it"
    filed = [item for item in archive.filed if item.instance.study_instance_uid == study.study_instance_uid]
    return Outcome(
        study=study,
        times=times,
        entry=StudyEntry.model_validate(report.document) if report else None,
        sr_texts=[render_text(item.path.read_bytes()) for item in _of_class(filed, SR)],
        sop_classes=frozenset(item.instance.sop_class_uid for item in filed),
        peaks=dict(_peaks(_of_class(filed, SEG))),
        overlays=[_to_png(item, output, study, n) for n, item in enumerate(_of_class(filed, SC), 1)],
    )


def _of_class(filed: Sequence[Filed], sop_class: str) -> list[Filed]:
    return [item for item in filed if item.instance.sop_class_uid == sop_class]


def _peaks(segmentations: Sequence[Filed]) -> Iterator[tuple[str, tuple[int, int]]]:
    for item in segmentations:
        frame = read_frame(item.path.read_bytes(), 0)
        if frame.bits_stored > 1:  # a binary one has a region, but no peak
            row, column = np.unravel_index(int(np.argmax(frame.stored)), frame.stored.shape)
            description = Values(read_header(item.path)).text("ContentDescription")
            yield description.rpartition(": ")[2], (int(row), int(column))


def _to_png(item: Filed, output: Path, study: DemoStudy, number: int) -> Path:
    path = output / "overlays" / f"{study.path.stem}-{number}.png"
    path.parent.mkdir(exist_ok=True)
    Picture.fromarray(read_frame(item.path.read_bytes(), 0).stored).save(path)
    return path


def _problems(outcome: Outcome) -> Iterator[str]:
    study = outcome.study
    if outcome.times.state != StudyState(study.status):
        yield f"ended {outcome.times.state}, promised was {study.status} {outcome.times.reason}".strip()
        return
    if study.status == StudyState.REFUSED:
        if outcome.sop_classes:
            yield "something came back although no model takes it"
        return
    if len(outcome.sr_texts) != 1:
        yield f"{len(outcome.sr_texts)} reports came back, promised was one"
        return
    if study.status == StudyState.REPORTED:
        yield from _problems_of_findings(outcome)


def _problems_of_findings(outcome: Outcome) -> Iterator[str]:
    study, said = outcome.study, said_by(outcome.sr_texts[0])
    meanings = {finding.name: finding.code.meaning for finding in outcome.findings}
    for name, promised in [*((n, True) for n in study.positive), *((n, False) for n in study.negative)]:
        above = said.get(meanings.get(name, ""))
        if above is None:
            yield f"the report does not speak of {name}"
        elif above != promised:
            yield f"{name} is {'above' if above else 'below'} its operating point"
    if any(said.values()) and not {SC, GSPS, SEG} <= outcome.sop_classes:
        yield "overlay, presentation state or segmentation did not come back"
    if study.region and not _is_hit(study.region, outcome.peaks):
        yield f"the map of {study.region.finding} has its peak outside of where that was planted"


def _is_hit(region: PlantedRegion, peaks: dict[str, tuple[int, int]]) -> bool:
    row, column = peaks.get(region.finding, (-1, -1))
    return region.contains(column, row)
