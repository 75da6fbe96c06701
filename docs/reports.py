"""Write the reports of three demo studies as DCMTK shows them: `python docs/reports.py [--check]`.

docs/reports/NAME.txt is what `dsrdump` prints of the SR, docs/reports/NAME.html what `dsr2html` makes of it. `--check`
writes nothing: it names what differs and ends with 1. Lines on the map are not compared: whether a map is measured in
time, and its last digits, depend on the machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "docs" / "reports"
STUDIES = ("opacity", "normal", "child")
_PROGRAMS = {"txt": ("/usr/bin/dsrdump", "+Pl", "+U8"), "html": ("/usr/bin/dsr2html", "+U8")}
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_POINTS = re.compile(r"\(POLYLINE,([^)]*)\)")
_OF_A_MAP = re.compile(
    r"Image Region|SCOORD|Polyline|[Ss]elected from|Visual explanation|Class activation|[Rr]egion that influenced|"
    r"What the region|Faithfulness|Every report|[Mm]ap withheld|trust the map|<b>Limitation:|Annex"
)
_MARKUP = re.compile(r"</?[a-z][^>]*>")
_VALUE_OF_ITS_OWN = re.compile(r"-?[\d.]+ (1|%|\{\w+\})")  # dsr2html puts a figure below its name
_NUMBER = re.compile(r"-?\d+\.\d+")
_TOLERANCE = 0.002


def reports() -> dict[str, str]:
    """The text of each file by its name."""
    sys.path.insert(0, str(ROOT))
    from api.demo.readme_block import analyzed_demo

    _, found = analyzed_demo()
    return {
        f"{name}.{suffix}": _shown(found[name], command) for name in STUDIES for suffix, command in _PROGRAMS.items()
    }


def differences(found: dict[str, str]) -> list[str]:
    """One line for each file that is not what the code makes."""
    return [
        f"docs/reports/{name}: the report is not what the code makes; run: python docs/reports.py"
        for name, text in found.items()
        if not (REPORTS / name).exists() or not is_close((REPORTS / name).read_text(encoding="utf-8"), text)
    ]


def is_close(before: str, after: str) -> bool:
    """Whether two texts say the same but for what is said of maps, and numbers differ by no more than rounding."""
    one, other = _comparable(before), _comparable(after)
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(map(float, _NUMBER.findall(one)), map(float, _NUMBER.findall(other)), strict=True)
    return all(abs(this - that) <= _TOLERANCE * max(1.0, abs(this)) for this, that in pairs)


def main(arguments: list[str]) -> int:
    """Rewrite the files, or with `--check` say which differ."""
    if arguments not in ([], ["--check"]):
        print("usage: python docs/reports.py [--check]", file=sys.stderr)  # noqa: T201
        return 2
    found = reports()
    if not arguments:
        REPORTS.mkdir(exist_ok=True)
        for name, text in found.items():
            (REPORTS / name).write_text(text, encoding="utf-8")
        return 0
    wrong = differences(found)
    print("\n".join(wrong or ["every report is what the code makes"]))  # noqa: T201
    return 1 if wrong else 0


def _shown(sr: bytes, command: tuple[str, ...]) -> str:
    """What a program prints of an SR, without the time at which it was made and with outlines in short."""
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(sr)
        file.flush()
        done = subprocess.run([*command, file.name], capture_output=True, check=True)  # noqa: S603
    text = _TIME.sub("(when it was made)", done.stdout.decode("utf-8"))
    text = _POINTS.sub(lambda match: f"(POLYLINE of {match[1].count('/')} points)", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def _comparable(text: str) -> str:
    """The lines that are not about a map, without markup."""
    lines = [line for line in text.splitlines() if not _OF_A_MAP.search(line)]
    if text.startswith("<html>"):
        lines = [_MARKUP.sub("", line).strip() for line in lines]
        lines = [line for line in lines if line and not _VALUE_OF_ITS_OWN.fullmatch(line)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
