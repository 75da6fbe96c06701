"""What the demo studies come to with the shipped model, as the blocks that README and docs/results.md show.

The studies go through the whole pipeline (`candor analyze`), so the blocks are what a person gets who runs it today.
Times and the figures of faithfulness are left out: how long something takes, and whether there was time to measure a
map, depends on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from api.demo.analyze import RESULTS
from core.domain.study import StudyState
from core.errors import CandorError
from core.settings.environment import PREFIX
from datasets.demo.studies import demo_studies
from dicom_node.header.sr_text import render_text
from dicom_node.sop_classes import RESULT_SOP_CLASSES
from pipeline.results_json import StudyEntry

_SHOWN = "opacity"
_FINDING = "Abnormal opacity"
_GROUP = "Measurement Group"
_MEASURED_IF_THERE_IS_TIME = ("Faithfulness:",)
_TOO_LONG = ("Algorithm", "Tracking Unique Identifier")


def readme_blocks() -> dict[str, str]:
    """The blocks by name: `demo`, a table and a line for each study; `demo-report`, the conclusion and one finding."""
    named, reports = analyzed_demo()
    report = render_text(reports[_SHOWN])
    return {"demo": _table(named[_SHOWN]) + "\n" + _lines(named), "demo-report": _fence(report)}


@cache
def analyzed_demo() -> tuple[dict[str, StudyEntry], dict[str, bytes]]:
    """What `candor analyze` makes of the demo studies, by their names: entries of results.json, and SRs."""
    with tempfile.TemporaryDirectory(prefix="candor-readme-") as folder:
        out = Path(folder)
        _analyze(out)
        entries = json.loads((out / RESULTS).read_text(encoding="utf-8"))["studies"]
        by_uid = {entry["study_instance_uid"]: StudyEntry.model_validate(entry) for entry in entries}
        named = {study.path.stem: by_uid[study.study_instance_uid] for study in demo_studies()}
        found = {name: (out / path).read_bytes() for name, entry in named.items() if (path := _path_of_sr(entry))}
    return named, found


def _analyze(out: Path) -> None:
    """Run the command as a person does, in a process of its own; CandorError when it fails."""
    files = [str(study.path) for study in demo_studies()]
    command = [sys.executable, "-P", "-m", "api", "analyze", *files, "--out", str(out), "--objects", "sr"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise CandorError(f"the demo studies cannot be analysed: {done.stderr.strip().rpartition(chr(10))[2]}")


def _path_of_sr(entry: StudyEntry) -> str:
    return next((found.path for found in entry.objects if found.sop_class == RESULT_SOP_CLASSES[-1]), "")


def _table(entry: StudyEntry) -> str:
    rows = "".join(
        f"| {finding.name} | {finding.probability:.3f} | {finding.operating_point.threshold:.3f} "
        f"| {'**above**' if finding.positive else 'below'} |\n"
        for finding in entry.findings
    )
    return f"| finding in `{_SHOWN}` | probability | operating point | result |\n| --- | --- | --- | --- |\n{rows}"


def _lines(named: dict[str, StudyEntry]) -> str:
    return "".join(f"* `{name}`: {_end(entry)}\n" for name, entry in named.items())


def _end(entry: StudyEntry) -> str:
    """How a study ended, in one line."""
    if entry.status != StudyState.REPORTED:
        return f"{entry.status.replace('_', ' ')}, because {entry.reason}"
    above = [finding.name for finding in entry.findings if finding.positive]
    return "reported; above the operating point: " + (", ".join(above) or "none")


def _fence(report: str) -> str:
    """The conclusion and the measurement group of one finding, in a fence."""
    conclusion = [line.strip() for line in report.splitlines() if line.strip().startswith("Conclusion: ")]
    group = [line for group in _groups_in(report) for line in group if not _is_left_out(line)]
    return "\n".join(("```text", *conclusion, *group, "```")) + "\n"


def _groups_in(report: str) -> Iterator[list[str]]:
    lines = report.splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == _GROUP]
    for start in starts:
        depth = _depth(lines[start])
        end = next((n for n in range(start + 1, len(lines)) if _depth(lines[n]) <= depth), len(lines))
        group = [line[depth:] for line in lines[start:end]]
        if any(line.strip().partition(": ")[2].partition(":")[0] == _FINDING for line in group[:2]):
            yield group


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_left_out(line: str) -> bool:
    return line.strip().startswith((*_MEASURED_IF_THERE_IS_TIME, *_TOO_LONG))
