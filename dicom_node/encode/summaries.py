"""What the summary pictures of a report show: for each input the findings of all its readings."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import Finding, Reading, Report
from core.domain.study import Instance
from dicom_node.encode.picture.summary import Entry, strongest
from dicom_node.encode.sources import NOT_VERIFIED, Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All findings of the readings of one input, as one picture shows them.

    `number`: its place among the summaries of the report, from 1. `source`: the header of `instance`, the image that it
    is drawn on: that of the strongest region, else of the first flagged finding.
    """

    report: Report
    readings: tuple[Reading, ...]
    number: int
    instance: Instance
    source: Dataset
    entries: tuple[Entry, ...]

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Every model version that read the input."""
        return tuple(reading.model for reading in self.readings)

    @property
    def label(self) -> str:
        """What a viewer lists the picture as."""
        which = self.report.name_of(self.readings[0])
        return f"{NOT_VERIFIED}: summary, {which}" if which else f"{NOT_VERIFIED}: summary"


def summaries_of(report: Report, sources: Sources) -> list[Summary]:
    """A summary of each input that has a flagged finding."""
    by_input: dict[tuple[str, ...], list[Reading]] = {}
    for reading in report.readings:
        by_input.setdefault(reading.what.sop_instance_uids, []).append(reading)
    flagged = [group for group in by_input.values() if any(f.is_flagged for r in group for f in r.findings)]
    return [_summary(report, sources, tuple(group), number) for number, group in enumerate(flagged, 1)]


def _summary(report: Report, sources: Sources, readings: tuple[Reading, ...], number: int) -> Summary:
    found = [(reading, finding) for reading in readings for finding in reading.findings]
    entries = [Entry(finding=finding, saliency=_main_map(reading, finding)) for reading, finding in found]
    drawn = strongest(entries)
    instances = {instance.sop_instance_uid: instance for instance in readings[0].what.instances}
    if drawn and drawn[0].saliency:
        instance = instances[drawn[0].saliency.sop_instance_uid]
    else:
        instance = next(r.drawn_on(finding.name) for r, finding in found if finding.is_flagged)
    return Summary(
        report=report,
        readings=readings,
        number=number,
        instance=instance,
        source=sources.of(instance),
        entries=tuple(_on(instance, entry, reading) for (reading, _), entry in zip(found, entries, strict=True)),
    )


def _main_map(reading: Reading, finding: Finding) -> Saliency | None:
    return next(iter(reading.saliencies_of(finding.name)), None)


def _on(instance: Instance, entry: Entry, reading: Reading) -> Entry:
    """The entry with the map that it has on this image; of a volume it may be in other slices only."""
    maps = reading.saliencies_of(entry.finding.name)
    here = next((one for one in maps if one.sop_instance_uid == instance.sop_instance_uid), None)
    if here is None and entry.has_region:
        return Entry(finding=entry.finding, saliency=None, elsewhere=True)
    return Entry(finding=entry.finding, saliency=here or entry.saliency)
