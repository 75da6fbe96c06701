"""What explanations cost on this machine: `python -m tests.benchmarks.explanations [PACKAGE]`.

The shipped graph with and without its map output, interleaved so that whatever else the machine does hits both alike;
then the default map with its faithfulness. Prints medians of CPU seconds and of wall-clock seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.domain.study import Image
from datasets.demo.studies import demo_studies
from dicom_node.pixels.decode import decode
from explain.explanation import faithfulness_of
from explain.faithfulness import BUDGETS
from explain.subject import Subject
from models.package.format import load_package
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel
from models.runtimes.onnx_variants import OnnxGraph, without_maps

ROUNDS = 60


def main(folder: Path) -> None:
    """Print what the map and its faithfulness cost in forward passes and seconds, on one thread."""
    package = load_package(folder)
    weights = package.read_weights()
    image = opacity()
    square = image.frame.to_square(image.pixels)[None, None]
    with_map = OnnxGraph.of(weights, logits=package.logits_name, maps=package.maps_name)
    bare = OnnxGraph.of(without_maps(weights, package.logits_name), logits=package.logits_name)
    pairs = [(timed(lambda: bare.predict(square)), timed(lambda: with_map.predict(square))) for _ in range(ROUNDS)][5:]
    ratios = [full[0] / plain[0] for plain, full in pairs]
    plain = statistics.median(plain[0] for plain, _ in pairs)
    print(f"{package.model.name} {package.model.version}, {square.shape[-1]} px, one thread, {len(pairs)} pairs")
    print(f"forward pass without map: {plain * 1000:.1f} ms of CPU")
    print(f"default map: {statistics.median(ratios):.3f} forward passes (median of the pairs)")
    subject = Subject.of(OnnxModel.load(package, threads=1), image)
    finding = package.model.findings[1].name
    values = subject.maps(subject.square[None], finding)
    assert values is not None
    one = statistics.median(timed(lambda: subject.scores(subject.square[None]))[0] for _ in range(20))
    print(f"forward pass at the model's own {len(subject.square)} px: {one * 1000:.1f} ms of CPU")
    for name, budget in BUDGETS.items():
        times = [timed(lambda: faithfulness_of(subject, finding, values[0], budget=budget)) for _ in range(3)]  # noqa: B023
        cpu, wall = (statistics.median(each) for each in zip(*times, strict=True))
        cost = f"{budget.forward_passes} forward passes, {cpu:.2f} s of CPU ({cpu / one:.1f} passes)"
        print(f"default map + faithfulness, {name}: 1 + {cost}, {wall:.2f} s by the clock")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall-clock seconds of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def opacity() -> Image:
    """The demo radiograph with an opacity."""
    (study,) = (study for study in demo_studies() if study.path.stem == "opacity")
    return decode(study.path.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ZOO / "chest_radiograph")
