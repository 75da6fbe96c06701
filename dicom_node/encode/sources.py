"""What the encoders are given: the headers of the images that a report refers to, and a finding on its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from core.domain.explanation import Saliency
from core.domain.report import Finding, Reading, Report
from core.domain.study import Instance
from dicom_node.encode.source import describe_study, read_source, with_identity

NOT_VERIFIED = "AI - NOT VERIFIED"
_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_LONGEST_LABEL = 64  # characters of a Long String (PS3.5 6.2)
_LONGEST_WHICH = 32  # of them; the words before it are the ones that must not get lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A map and the cleaned header of the image that it is in."""

    saliency: Saliency
    source: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One finding of one reading, as every carrier shows it.

    `number`: its place among the findings of the report, from 1. `source`: the header of `instance`, which it is in.
    `shown`: the maps with a region that may be shown, of a volume one for each slice that it is in, the main one first.
    """

    report: Report
    reading: Reading
    finding: Finding
    number: int
    instance: Instance
    source: Dataset
    shown: tuple[Located, ...]

    @property
    def saliency(self) -> Saliency | None:
        """The main map of the finding, shown or withheld."""
        return next(iter(self.reading.saliencies_of(self.finding.name)), None)

    @property
    def tracking_identifier(self) -> str:
        """What the finding is followed under, for a person; its UID is what machines go by."""
        return tracking_identifier(self.report, self.reading, self.finding)

    @property
    def label(self) -> str:
        """What a viewer lists the picture as: not verified, the finding, and which reading it is of among several."""
        which = self.report.which(self.reading)
        end = f", {which}"[:_LONGEST_WHICH] if which else ""
        return f"{NOT_VERIFIED}: {self.finding.code.meaning}"[: _LONGEST_LABEL - len(end)] + end

    @property
    def in_order(self) -> tuple[Located, ...]:
        """The maps that may be shown, in the order of the slices."""
        places = {uid: place for place, uid in enumerate(self.reading.what.sop_instance_uids)}
        return tuple(sorted(self.shown, key=lambda located: places.get(located.saliency.sop_instance_uid, 0)))


class Sources:
    """The cleaned headers of a study's images; from the store where the bytes are not given or cannot be read."""

    def __init__(self, report: Report, sources: Mapping[str, bytes]) -> None:
        self._report = report
        self._sources = sources
        self._headers: dict[str, Dataset] = {}

    @property
    def study(self) -> Dataset:
        """The header that patient and study are copied from: of the first image read, else of any of the study."""
        if self._report.readings:
            return self.of(self._report.readings[0].what.instances[0])
        whose = self._report.study.identity_from
        instances = {instance.sop_instance_uid: instance for instance in self._report.study.instances}
        if whose in self._sources and whose in instances:
            return self.of(instances[whose])
        first = next(iter(self._report.study.instances), None)
        for part10 in self._sources.values():
            return _read(part10) or describe_study(self._report.study, first)
        return describe_study(self._report.study, first)

    @property
    def images(self) -> list[Dataset]:
        """The headers of all that the report speaks of; where nothing was read, of one image of the study."""
        read = [self.of(instance) for what in self._report.inputs for instance in what.instances]
        return [image for image in read or [self.study] if "SOPInstanceUID" in image and "SeriesInstanceUID" in image]

    @property
    def not_read(self) -> list[tuple[Dataset, str]]:
        """The headers of the images that no model was to read, each with the reason."""
        tried = {uid for what in self._report.inputs for uid in what.sop_instance_uids}
        unread = [image for image in self._report.images if image.instance.sop_instance_uid not in tried]
        return [(self.of(image.instance), image.reason) for image in unread if not image.is_read]

    def of(self, instance: Instance) -> Dataset:
        """The header of one image; a report may be about exactly this: an image that cannot be read."""
        uid = instance.sop_instance_uid
        if uid not in self._headers:
            part10 = self._sources.get(uid)
            described = describe_study(self._report.study, instance)
            header = (part10 and _read(part10)) or described
            for keyword in _IDENTIFIERS:  # a damaged header must not leave a reference without its UID
                if keyword not in header and keyword in described:
                    header[keyword] = described[keyword]
            self._headers[uid] = self._of_the_patient(header, uid)
        return self._headers[uid]

    def _of_the_patient(self, header: Dataset, uid: str) -> Dataset:
        """A header with patient and study of the image that the study is filed under: one study, one patient."""
        whose = self._report.study.identity_from
        if not whose or uid == whose:
            return header
        part10 = self._sources.get(whose)
        identity = (part10 and _read(part10)) or describe_study(self._report.study, None)
        return with_identity(header, identity)

    def subjects(self) -> list[Subject]:
        """Every finding of the report on its images."""
        found: list[Subject] = []
        for reading in self._report.readings:
            for finding in reading.findings:
                found.append(self._subject(reading, finding, len(found) + 1))
        return found

    def _subject(self, reading: Reading, finding: Finding, number: int) -> Subject:
        instance = reading.drawn_on(finding.name)
        instances = {instance.sop_instance_uid: instance for instance in reading.what.instances}
        saliencies = reading.saliencies_of(finding.name) if may_be_drawn(self._report, finding) else ()
        return Subject(
            report=self._report,
            reading=reading,
            finding=finding,
            number=number,
            instance=instance,
            source=self.of(instance),
            shown=tuple(
                Located(saliency=saliency, source=self.of(instances[saliency.sop_instance_uid]))
                for saliency in saliencies
                if saliency.shown and not saliency.no_region
            ),
        )


def tracking_identifier(report: Report, reading: Reading, finding: Finding) -> str:
    """The finding in words, and which reading it is of among several: the same in SR and SEG."""
    which = report.which(reading)
    return f"{finding.code.meaning}, {which}" if which else finding.code.meaning


def _read(part10: bytes) -> Dataset | None:
    try:
        return read_source(part10)
    except (InvalidDicomError, EOFError, ValueError, NotImplementedError):
        return None


def may_be_drawn(report: Report, finding: Finding) -> bool:
    """Whether a finding gets pictures of its own: "abnormal" has no place, but a person may ask for its map."""
    return finding.is_positive and (not finding.is_general or bool(report.explanation))
