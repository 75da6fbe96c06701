"""The registration gate: may the maps of this model version be shown at all?

All of eight published saliency methods failed at least one of localisation, randomisation, repeatability and
reproducibility (Arun et al., Radiology AI 2021), so a model's maps are shown only after they passed every test that can
be made here. The gate blocks the explanation, never the model. It judges a *map maker*, any function from a model and
images to maps, so that deliberately broken ones can be put through it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.progress import Progress, silent
from explain.batches import Floats
from explain.gate import tests
from explain.gate.document import GateCurves, GateTest
from explain.gate.nouns import GateSet, MapMaker, Predicts
from explain.gate.result import METHOD, GateResult
from models.package.format import ModelPackage

Graphs = Callable[[float], Predicts]
"""The network with a share of its weights shuffled, 0..1."""
Made = tuple[GateTest, GateCurves]
"""A test, and the curves so far."""
Step = Callable[[GateCurves], Made]


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
    graph = _graphs_of(package, threads, seed)
    material = tests.Material.of(package, graph(0.0), maker, evidence.cases, seed=seed)
    made, curves = _make(_steps(material, graph, threads), progress)
    return GateResult(
        model=package.model.name,
        version=package.model.version,
        sha256=package.model.sha256,
        method=method,
        images=evidence.images,
        weaker=evidence.weaker,
        tests=made,
        curves=curves,
    )


def _graphs_of(package: ModelPackage, threads: int, seed: int) -> Graphs:
    """The network of the package, with a share of its weights shuffled."""
    from models.runtimes.onnx_variants import OnnxGraph, randomised

    weights = package.read_weights()

    def graph(share: float) -> Predicts:
        shuffled = randomised(weights, share, seed=seed) if share else weights
        return OnnxGraph.of(
            shuffled, logits=package.logits_name, maps=package.maps_name, threads=threads, reads=package.reads
        )

    return graph


def _steps(material: tests.Material, graph: Graphs, threads: int) -> tuple[Step, ...]:
    """The tests in their order; nothing is run before a step is called."""
    from models.runtimes.onnx_variants import OnnxGraph, planted_lesion_model

    planted = OnnxGraph.of(planted_lesion_model(), maps="class_activation", threads=threads)
    return (
        lambda curves: _randomise(material, graph, curves),
        lambda curves: (tests.class_sensitivity(material), curves),
        lambda curves: _measure_faithfulness(material, curves),
        lambda curves: (tests.planted_lesion(material.maker, planted), curves),
        lambda curves: (tests.stability(material), curves),
        lambda curves: (tests.localisation(material), curves),
    )


def _randomise(material: tests.Material, graph: Graphs, curves: GateCurves) -> Made:
    test, curve = tests.randomisation(material, graph)
    return test, curves.model_copy(update={"randomisation": curve})


def _measure_faithfulness(material: tests.Material, curves: GateCurves) -> Made:
    test, found = tests.faithfulness(material)
    return test, curves.model_copy(update={"faithfulness": found})


def _make(steps: Sequence[Step], progress: Progress) -> tuple[tuple[GateTest, ...], GateCurves]:
    """Every test, and the curves of those that have one."""
    made: list[GateTest] = []
    curves = GateCurves()
    for number, step in enumerate(steps):
        progress("tests of the maps", number, len(steps))
        test, curves = step(curves)
        made.append(test)
    progress("tests of the maps", len(steps), len(steps))
    return tuple(made), curves
