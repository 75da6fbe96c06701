"""The reports in docs/reports are what DCMTK shows of the SRs that the demo studies get today."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    if not Path("/usr/bin/dsr2html").exists():
        pytest.skip("dcmtk is not installed")
    return runpy.run_path(str(ROOT / "docs" / "reports.py"))


def documented(name: str) -> str:
    return (ROOT / "docs" / "reports" / name).read_text(encoding="utf-8")


def test_the_documented_reports_are_what_the_code_makes(script: dict[str, Any]) -> None:
    assert script["differences"](script["reports"]()) == []


def test_a_report_that_drifted_is_noticed(script: dict[str, Any]) -> None:
    for name in ("opacity.txt", "opacity.html"):
        text = documented(name)
        assert not script["is_close"](text.replace("Looked for and not flagged", "Not seen"), text)
        assert not script["is_close"](text.replace("Sensitivity 0.65", "Sensitivity 0.75"), text)
        assert script["is_close"](text.replace("Sensitivity 0.65 [0.48", "Sensitivity 0.65 [0.481"), text)


@pytest.mark.parametrize("name", ["opacity", "normal", "child"])
def test_the_conclusion_is_what_a_reader_meets_first(name: str) -> None:
    lines = [line for line in documented(f"{name}.txt").splitlines() if "=" in line]
    assert "Conclusion" in lines[2], "after the title and the language"
    assert "sha256" in lines[-1]
    html = documented(f"{name}.html")
    assert html.index("<b>Conclusion:</b>") < html.index("Device Observer UID") < html.index("sha256")
