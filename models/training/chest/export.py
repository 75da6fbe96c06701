"""Turns a trained network into the ONNX file that ships, and proves that both say the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray

from core.errors import IntegrityError
from core.statistics.estimate import Floats
from models.training.chest.network import ChestNetwork, Shipped

OPSET = 18  # the first in which Resize can average down (antialias)
_TOLERANCE = 1e-4
_GATES = ("logits_float64", "logits_float32", "maps_relative")


def export(network: ChestNetwork, *, size: int, chosen: list[int], path: Path) -> dict[str, float]:
    """Write `network` with the findings `chosen` to `path`; returns `differences_from_torch`.

    The file is compared with torch in double precision, because torch's own float32 rounding of a map is as large as
    what is looked for. Raises IntegrityError past 1e-4 in a score, or in a map cell past 1e-4 of that map's largest:
    cells of 20 and more are usual, and float32 holds seven digits, whatever the scale.
    """
    shipped = Shipped(copy.deepcopy(network), size, chosen).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    batch, rows, columns = (torch.export.Dim(name, min=1, max=8192) for name in ("images", "rows", "columns"))
    program = torch.onnx.export(
        shipped,
        (torch.rand(2, 1, 300, 310),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits", "class_activation"],
        dynamic_shapes=({0: batch, 2: rows, 3: columns},),
        verbose=False,
    )
    assert program is not None
    program.save(str(path), external_data=False)
    strip(path)
    differences = differences_from_torch(shipped, path)
    if max(differences[gate] for gate in _GATES) > _TOLERANCE:
        raise IntegrityError(f"The exported model differs from torch ({differences}); it was not packaged.")
    return differences


def differences_from_torch(shipped: Shipped, path: Path) -> dict[str, float]:
    """Largest absolute difference of logits and maps between ONNX Runtime and torch, in double and single precision,
    over noise images of several sizes; `maps_relative`: of a map from double, as a share of its largest cell.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    double = copy.deepcopy(shipped).double()
    worst = dict.fromkeys(("logits_float64", "maps_float64", "logits_float32", "maps_float32"), 0.0)
    relative = 0.0
    for seed, (count, rows, columns) in enumerate(((1, 512, 512), (3, 1000, 1000), (2, 224, 224), (1, 128, 128))):
        images = torch.rand(count, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            expected = (*double(images.double()), *shipped(images))
        given = session.run(["logits", "class_activation"], {"image": images.numpy()}) * 2
        for name, torch_out, out in zip(worst, expected, given, strict=True):
            worst[name] = max(worst[name], float(np.abs(torch_out.numpy() - out).max()))
        relative = max(relative, _relative(given[1], expected[1].numpy()))
    return worst | {"maps_relative": relative}


def _relative(maps: Floats, expected: Floats) -> float:
    """Largest difference of a cell as a share of the largest cell of its map; maps are the last two axes."""
    return float((np.abs(maps - expected).max((-2, -1)) / np.abs(expected).max((-2, -1))).max())


def differences_on_images(
    path: Path, images: Sequence[NDArray[np.uint8]], logits: NDArray[np.float32], maps: NDArray[np.float32]
) -> dict[str, float | int]:
    """Largest difference of the file's scores and map cells from torch's (float32) on radiographs.

    `logits` (N, K) and `maps` (N, K, h, w) are torch's of `images`. Raises IntegrityError past 1e-4 in a score, or past
    1e-4 in a map cell relative to the largest cell of that map: float32 holds seven digits, whatever the scale.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    score = cell = relative = 0.0
    for image, of_torch, map_of_torch in zip(images, logits, maps, strict=True):
        given, given_maps = session.run(None, {"image": image.astype(np.float32)[None, None] / 255.0})
        score = max(score, float(np.abs(given[0] - of_torch).max()))
        cell = max(cell, float(np.abs(given_maps[0] - map_of_torch).max()))
        relative = max(relative, _relative(given_maps[0], map_of_torch))
    if max(score, relative) > _TOLERANCE:
        raise IntegrityError(
            f"The exported model differs from torch on radiographs, by {score:.1e} in a score and by {relative:.1e} "
            "of the largest cell in a map; it was not packaged."
        )
    return {"images": len(images), "logits": score, "map_cells": cell, "map_cells_relative": relative}


def strip(path: Path) -> None:
    """Drop the exporter's notes: they hold paths of the machine it ran on, and change from run to run."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.producer_version = ""
    onnx.checker.check_model(model)
    onnx.save(model, path)
