"""Turns a trained network into the ONNX file that ships, and proves that both say the same."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch

from core.errors import IntegrityError
from models.training.network import ChestNetwork, Shipped

OPSET = 18  # the first in which Resize can average down (antialias)
_TOLERANCE = 1e-4


def export(network: ChestNetwork, *, size: int, chosen: list[int], path: Path) -> float:
    """Write `network` with the findings `chosen` to `path`; returns the largest difference from torch seen.

    Raises IntegrityError where that difference is above 1e-4.
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
    _strip(path)
    difference = difference_from_torch(shipped, path)
    if difference > _TOLERANCE:
        raise IntegrityError(f"The exported model differs from torch by {difference:.1e}; it was not packaged.")
    return difference


def difference_from_torch(shipped: Shipped, path: Path) -> float:
    """Largest absolute difference of logits and maps between torch and ONNX Runtime over several image sizes."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for seed, (count, rows, columns) in enumerate(((1, 512, 512), (3, 1000, 1000), (2, 224, 224), (1, 128, 128))):
        images = torch.rand(count, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            expected = shipped(images)
        given = session.run(["logits", "class_activation"], {"image": images.numpy()})
        pairs = zip(expected, given, strict=True)
        worst = max(worst, *(float(np.abs(torch_out.numpy() - out).max()) for torch_out, out in pairs))
    return worst


def _strip(path: Path) -> None:
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
