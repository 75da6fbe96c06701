"""The registration gate: may the maps of this model version be shown at all?

All of eight published saliency methods failed at least one of localisation, randomisation, repeatability and
reproducibility (Arun et al., Radiology AI 2021), so a model's maps are shown only after they passed every test that can
be made here. The gate blocks the explanation, never the model. It judges a *map maker*, any function from a model and
images to maps, so that deliberately broken ones can be put through it too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.progress import Progress, silent
from explain.batches import Floats
from explain.gate import tests
from explain.gate.document import GateCurves, GateTest
from explain.gate.nouns import GateSet, MapMaker, Predicts
from explain.gate.result import METHOD, GateResult
from models.package.format import ModelPackage


def class_activation_maps(model: Predicts, images: Floats) -> Floats:
    """The default map maker: what the graph gives."""
    parts = [model.predict(images[start : start + 16, np.newaxis])[1] for start in range(0, len(images), 16)]
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else np.zeros((len(images), 0, 1, 1), np.float32)


def run(
    package: ModelPackage,
    evidence: GateSet,
    *,
    maker: MapMaker = class_activation_maps,
    method: str = METHOD,
    threads: int = 1,
    seed: int = 1,
    progress: Progress = silent,
) -> GateResult:
    """Put the maps that `maker` makes of `package` through every test on the images of `evidence`.

    `progress` counts the tests. Nothing of a case is kept in the result but figures.
    """
    from models.runtimes.onnx_variants import OnnxGraph, planted_lesion_model, randomised

    weights = package.read_weights()

    def graph(share: float) -> OnnxGraph:
        shuffled = randomised(weights, share, seed=seed) if share else weights
        return OnnxGraph.of(
            shuffled, logits=package.logits_name, maps=package.maps_name, threads=threads, reads=package.reads
        )

    material = tests.Material.of(package, graph(0.0), maker, evidence.cases, seed=seed)
    planted = OnnxGraph.of(planted_lesion_model(), maps="class_activation", threads=threads)
    curves = GateCurves()

    def randomisation() -> GateTest:
        nonlocal curves
        test, curve = tests.randomisation(material, graph)
        curves = curves.model_copy(update={"randomisation": curve})
        return test

    def faithfulness() -> GateTest:
        nonlocal curves
        test, found = tests.faithfulness(material)
        curves = curves.model_copy(update={"faithfulness": found})
        return test

    made: list[GateTest] = []
    steps: tuple[Callable[[], GateTest], ...] = (
        randomisation,
        lambda: tests.class_sensitivity(material),
        faithfulness,
        lambda: tests.planted_lesion(maker, planted),
        lambda: tests.stability(material),
        lambda: tests.localisation(material),
    )
    for number, step in enumerate(steps):
        progress("tests of the maps", number, len(steps))
        made.append(step())
    progress("tests of the maps", len(steps), len(steps))
    return GateResult(
        model=package.model.name,
        version=package.model.version,
        sha256=package.model.sha256,
        method=method,
        images=evidence.images,
        weaker=evidence.weaker,
        tests=tuple(made),
        curves=curves,
    )
