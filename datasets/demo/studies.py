"""The demo studies that ship with Candor, and what the shipped model must say of each.

They are proper DX objects of no real patient: blends of many training images and procedural texture, made by
`datasets.demo.synthesis` (see the data card in their folder). `promises.json` holds the expectation and, for the
planted opacity, where it was planted, so that the demo and the tests can hold the model to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("dicom")
PROMISES = "promises.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedRegion:
    """Where a finding was planted, in pixels of the image: the map's peak must lie inside."""

    finding: str
    left: int
    top: int
    width: int
    height: int

    def contains(self, column: float, row: float) -> bool:
        """Whether a point of the image is inside."""
        return self.left <= column < self.left + self.width and self.top <= row < self.top + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStudy:
    """One demo study. `status`: how the pipeline must end; `positive` / `negative`: findings above / below."""

    path: Path
    study_instance_uid: str
    status: str
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    region: PlantedRegion | None = None


def demo_studies() -> tuple[DemoStudy, ...]:
    """All demo studies, in the order they are sent."""
    promises = json.loads((FOLDER / PROMISES).read_text(encoding="utf-8"))
    return tuple(
        DemoStudy(
            path=FOLDER / promise["file"],
            study_instance_uid=promise["study_instance_uid"],
            status=promise["status"],
            positive=tuple(promise.get("positive", ())),
            negative=tuple(promise.get("negative", ())),
            region=PlantedRegion(**promise["region"]) if "region" in promise else None,
        )
        for promise in promises
    )
