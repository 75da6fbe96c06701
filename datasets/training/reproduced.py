"""Whether a retrained model is the shipped one again.

    python -m datasets.training.reproduced SHIPPED.json RETRAINED.json

Both are the evaluation.json of a package. Prints the AUROC of each finding side by side, and every figure of the new
model outside the interval of the shipped one's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.wording import with_interval

Interval = tuple[float, float, float]  # value, low, high


def outside(shipped: dict[str, Any], retrained: dict[str, Any]) -> tuple[int, dict[str, tuple[Interval, Interval]]]:
    """How many figures with an interval both documents hold, and those where the new value is outside the old one."""
    before, after = dict(_figures(shipped)), dict(_figures(retrained))
    shared = [place for place in before if place in after]
    return len(shared), {
        place: (before[place], after[place])
        for place in shared
        if not before[place][1] <= after[place][0] <= before[place][2]
    }


def _figures(node: dict[str, Any], place: str = "") -> Iterator[tuple[str, Interval]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{place}/{name}")
        elif isinstance(value, list) and len(value) == 3 and all(isinstance(part, float | int) for part in value):
            yield f"{place}/{name}", (value[0], value[1], value[2])


def _words(figure: Interval) -> str:
    return with_interval(*figure, digits=3)


def _print(shipped: dict[str, Any], retrained: dict[str, Any]) -> None:
    sys.stdout.write("| finding | shipped | retrained |\n| --- | --- | --- |\n")
    for finding in shipped["shipped"]:
        areas = (document["held_out"][finding]["auroc"] for document in (shipped, retrained))
        sys.stdout.write(f"| {finding} | {' | '.join(map(_words, areas))} |\n")
    count, strayed = outside(shipped, retrained)
    sys.stdout.write(f"\n{len(strayed)} of {count} figures lie outside the shipped interval:\n")
    for place, (before, after) in strayed.items():
        sys.stdout.write(f"{place}: {_words(before)}, retrained {after[0]:.3f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Whether a retrained model's figures lie in the shipped intervals.")
    for name in ("shipped", "retrained"):
        parser.add_argument(name, type=Path, help="evaluation.json of a package")
    arguments = parser.parse_args()
    _print(*(json.loads(path.read_text(encoding="utf-8")) for path in (arguments.shipped, arguments.retrained)))
