"""What a report comes to, in a few lines: the same ones in the SR, on the pictures and in results.json."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from core.domain.report import Finding, Reading, Report, ReportStatus

_WITHOUT_RESULT = {
    ReportStatus.NOT_ANALYSED: "Could not analyse",
    ReportStatus.REFUSED: "No model takes this study",
    ReportStatus.FAILED: "The analysis failed",
}


def conclusion_of(report: Report, zone: tzinfo | None = None) -> tuple[str, ...]:
    """What is flagged, what is not, and what was not looked for; or why there is no result.

    `zone`: in which times are given, by default this machine's.
    """
    revision = revision_in_words(report, zone)
    lines = _findings(report) if report.status is ReportStatus.REPORTED else [_without_result(report)]
    return (*lines, *_failures(report), *([f"This is {revision}."] if revision else ()))


def revision_in_words(report: Report, zone: tzinfo | None = None) -> str:
    """Which revision of the report this is: "rev. 2, replaces 21:16"; "" for the first."""
    if report.study.revision <= 1:
        return ""
    before = report.predecessor_created_at
    replaces = f", replaces {_time(before, report.created_at, zone)}" if before else ""
    return f"rev. {report.study.revision}{replaces}"


def _time(before: datetime, now: datetime, zone: tzinfo | None) -> str:
    """The time of an earlier report, with its day where that is another one."""
    before, now = before.astimezone(zone), now.astimezone(zone)
    is_today = before.date() == now.date()
    return before.strftime("%H:%M") if is_today else f"{before.day} {before.strftime('%b %H:%M')}"


def _without_result(report: Report) -> str:
    return f"{_WITHOUT_RESULT[report.status]}, because: {_sentence(report.reason)}"


def _findings(report: Report) -> list[str]:
    flagged = {finding.code.meaning for finding in report.findings if finding.is_flagged}
    others = [finding.code.meaning for finding in report.findings if finding.code.meaning not in flagged]
    return [
        f"Flagged: {', '.join(_flagged(report)) or 'nothing'}.",
        f"Looked for and not flagged: {', '.join(dict.fromkeys(others)) or 'nothing else'}.",
        f"Not looked for: {', '.join((*_not_looked_for(report), 'or anything else'))}.",
    ]


def _flagged(report: Report) -> Iterator[str]:
    """The flagged findings, those with a name of their own first, each with the reading that it is of."""
    for general in (False, True):
        for reading in report.readings:
            for finding in reading.findings:
                if finding.is_flagged and finding.is_general is general:
                    yield _named(report, reading, finding)


def _named(report: Report, reading: Reading, finding: Finding) -> str:
    which = report.which(reading)
    return f"{finding.code.meaning} ({which})" if which else finding.code.meaning


def _not_looked_for(report: Report) -> tuple[str, ...]:
    """What none of the models that read has a finding for."""
    models = [reading.model for reading in report.readings if reading.status is ReportStatus.REPORTED]
    first = models[0].not_looked_for if models else ()
    return tuple(words for words in first if all(words in model.not_looked_for for model in models))


def _failures(report: Report) -> list[str]:
    """Which readings have no result although others may have one, each in a sentence."""
    if len(report.readings) == 1:
        return []
    return [
        f"Could not analyse {report.which(reading)}, because: {_sentence(reading.reason)}"
        for reading in report.readings
        if reading.status is not ReportStatus.REPORTED
    ]


def _sentence(reason: str) -> str:
    return f"{reason.rstrip('.') or 'no reason was given'}."
