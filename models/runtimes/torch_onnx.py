"""Runs an ONNX graph in torch, so that gradients flow through the weights that ship.

ONNX Runtime answers and has no gradients; Grad-CAM and integrated gradients need them. This reads the very graph and
weights of the package, so what is explained is what runs, whatever network the recipe will make next. It knows the
operators that convolutional networks are exported with, and refuses any other by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ConfigurationError

Attributes = dict[str, Any]
Operator = Callable[[list[Any], Attributes], Any]


class OnnxNetwork(nn.Module):
    """The graph as a torch module: images (N, 1, H, W) -> the values of the graph's outputs, by name."""

    def __init__(self, weights: bytes) -> None:
        """Raises ConfigurationError when `weights` is no ONNX model or uses an operator that is not known here."""
        super().__init__()
        try:
            graph = onnx.load_from_string(weights).graph
        except Exception as error:  # a boundary: protobuf raises classes of its own
            raise ConfigurationError("the weights are no ONNX model") from error
        unknown = sorted({node.op_type for node in graph.node} - set(OPERATORS))
        if unknown:
            raise ConfigurationError(f"no gradients for this model: torch does not know its {', '.join(unknown)}")
        self.nodes = [(node.op_type, list(node.input), list(node.output), _attributes(node)) for node in graph.node]
        self.input_name = graph.input[0].name
        self.output_names = [output.name for output in graph.output]
        self.constants = {
            initializer.name: torch.from_numpy(np.array(numpy_helper.to_array(initializer)))
            for initializer in graph.initializer
        }

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        values = self.trace(images)
        return {name: values[name] for name in self.output_names}

    def trace(self, images: Tensor) -> dict[str, Any]:
        """Every value of the graph by name."""
        values: dict[str, Any] = {**self.constants, self.input_name: images}
        for operator, inputs, outputs, attributes in self.nodes:
            result = OPERATORS[operator]([values[name] if name else None for name in inputs], attributes)
            values.update(zip(outputs, result if isinstance(result, tuple) else (result,), strict=False))
        return values

    def mirrored(self) -> frozenset[str]:
        """Names of the values that lie mirrored left to right: between a flip of the last axis and the flip back."""
        found: set[str] = set()
        for operator, inputs, outputs, _ in self.nodes:
            turned = any(name in found for name in inputs)
            if operator == "Slice" and self._flips_last_axis(inputs):
                turned = not turned
            if turned and operator != "Shape":
                found.update(outputs)
        return frozenset(found)

    def _flips_last_axis(self, inputs: list[str]) -> bool:
        if len(inputs) < 5 or inputs[3] not in self.constants or inputs[4] not in self.constants:
            return False
        axes, steps = self.constants[inputs[3]].tolist(), self.constants[inputs[4]].tolist()
        return steps == [-1] and axes in ([3], [-1])


def _attributes(node: onnx.NodeProto) -> Attributes:
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def _integers(value: Tensor) -> list[int]:
    return [int(item) for item in value.reshape(-1).tolist()]


def _padding(attributes: Attributes, dimensions: int) -> list[int]:
    """`pads` (all starts, then all ends) in the order torch's `pad` wants; refuses automatic padding."""
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise ConfigurationError("no gradients for this model: it pads automatically (auto_pad)")
    pads = list(attributes.get("pads", [0] * 2 * dimensions))
    pairs = zip(reversed(pads[:dimensions]), reversed(pads[dimensions:]), strict=True)
    return [side for pair in pairs for side in pair]


def _conv(inputs: list[Any], attributes: Attributes) -> Tensor:
    images, weight, bias = (*inputs, None)[:3]
    dimensions = weight.ndim - 2
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[dimensions - 1]
    return convolve(
        functional.pad(images, _padding(attributes, dimensions)),
        weight,
        bias,
        stride=attributes.get("strides", [1] * dimensions),
        dilation=attributes.get("dilations", [1] * dimensions),
        groups=attributes.get("group", 1),
    )


def _normalise(inputs: list[Any], attributes: Attributes) -> Tensor:
    images, weight, bias, mean, variance = inputs
    return functional.batch_norm(images, mean, variance, weight, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def _average_pool(inputs: list[Any], attributes: Attributes) -> Tensor:
    size = attributes["kernel_shape"]
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(size) - 1]
    if any(attributes.get("pads", [])):
        raise ConfigurationError("no gradients for this model: it pads before it averages")
    strides = attributes.get("strides", [1] * len(size))
    return pool(inputs[0], size, strides, ceil_mode=bool(attributes.get("ceil_mode")))


def _max_pool(inputs: list[Any], attributes: Attributes) -> Tensor:
    size = attributes["kernel_shape"]
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(size) - 1]
    padded = functional.pad(inputs[0], _padding(attributes, len(size)), value=-torch.inf)
    strides = attributes.get("strides", [1] * len(size))
    return pool(padded, size, strides, ceil_mode=bool(attributes.get("ceil_mode")))


def _resize(inputs: list[Any], attributes: Attributes) -> Tensor:
    images, _, scales, sizes = (*inputs, None, None)[:4]
    mode, how = attributes.get("mode", "nearest"), attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode != "linear" or how not in ("half_pixel", "pytorch_half_pixel") or images.ndim != 4:
        raise ConfigurationError(f"no gradients for this model: torch does not resize {mode}, {how}")
    if sizes is not None:
        size = _integers(sizes)[-2:]
    else:
        size = [int(length * scale) for length, scale in zip(images.shape[-2:], scales.tolist()[-2:], strict=True)]
    smooth = bool(attributes.get("antialias", 0))
    return functional.interpolate(images, size, mode="bilinear", antialias=smooth, align_corners=False)


def _clip(inputs: list[Any], attributes: Attributes) -> Tensor:
    images, low, high = (*inputs, None, None)[:3]
    return torch.clamp(images, attributes.get("min", low), attributes.get("max", high))


def _slice(inputs: list[Any], _: Attributes) -> Tensor:
    data, starts, ends, axes, steps = (*inputs, None, None)[:5]
    chosen = _integers(axes) if axes is not None else list(range(len(_integers(starts))))
    strides = _integers(steps) if steps is not None else [1] * len(chosen)
    for start, end, axis, step in zip(_integers(starts), _integers(ends), chosen, strides, strict=True):
        indices = list(range(*slice(start, end if end >= -data.shape[axis] else None, step).indices(data.shape[axis])))
        data = torch.index_select(data, axis, torch.tensor(indices, device=data.device))
    return torch.as_tensor(data)


def _mean(inputs: list[Any], attributes: Attributes) -> Tensor:
    axes = _integers(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else attributes.get("axes")
    return torch.mean(inputs[0], axes, keepdim=bool(attributes.get("keepdims", 1)))


def _gemm(inputs: list[Any], attributes: Attributes) -> Tensor:
    left = inputs[0].T if attributes.get("transA") else inputs[0]
    right = inputs[1].T if attributes.get("transB") else inputs[1]
    product = attributes.get("alpha", 1.0) * (left @ right)
    return torch.as_tensor(product if len(inputs) < 3 else product + attributes.get("beta", 1.0) * inputs[2])


def _reshape(inputs: list[Any], _: Attributes) -> Tensor:
    data, shape = inputs
    wanted = _integers(shape)
    return torch.as_tensor(data.reshape([data.shape[i] if size == 0 else size for i, size in enumerate(wanted)]))


def _expand(inputs: list[Any], _: Attributes) -> Tensor:
    data, shape = inputs
    return torch.as_tensor(data * data.new_ones(_integers(shape)))


def _unsqueeze(inputs: list[Any], _: Attributes) -> Tensor:
    data = inputs[0]
    for axis in sorted(_integers(inputs[1])):
        data = data.unsqueeze(axis)
    return torch.as_tensor(data)


def _global_average(inputs: list[Any], _: Attributes) -> Tensor:
    return torch.mean(inputs[0], list(range(2, inputs[0].ndim)), keepdim=True)


def _quotient(inputs: list[Any], _: Attributes) -> Tensor:
    whole = not inputs[0].is_floating_point()
    return torch.div(inputs[0], inputs[1], rounding_mode="trunc" if whole else None)


OPERATORS: dict[str, Operator] = {
    "Add": lambda i, _: i[0] + i[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda i, a: torch.cat(i, a["axis"]),
    "Constant": lambda _, a: torch.from_numpy(np.array(numpy_helper.to_array(a["value"]))),
    "Conv": _conv,
    "Div": _quotient,
    "Expand": _expand,
    "Flatten": lambda i, a: torch.flatten(i[0], a.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "HardSigmoid": lambda i, a: torch.clamp(a.get("alpha", 0.2) * i[0] + a.get("beta", 0.5), 0.0, 1.0),
    "HardSwish": lambda i, _: functional.hardswish(i[0]),
    "Identity": lambda i, _: i[0],
    "LeakyRelu": lambda i, a: functional.leaky_relu(i[0], a.get("alpha", 0.01)),
    "MatMul": lambda i, _: i[0] @ i[1],
    "Max": lambda i, _: torch.maximum(i[0], i[1]),
    "MaxPool": _max_pool,
    "Min": lambda i, _: torch.minimum(i[0], i[1]),
    "Mul": lambda i, _: i[0] * i[1],
    "ReduceMean": _mean,
    "Relu": lambda i, _: functional.relu(i[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda i, a: torch.tensor(i[0].shape[a.get("start", 0) : a.get("end")]),
    "Sigmoid": lambda i, _: torch.sigmoid(i[0]),
    "Slice": _slice,
    "Softplus": lambda i, _: functional.softplus(i[0]),
    "Sub": lambda i, _: i[0] - i[1],
    "Tanh": lambda i, _: torch.tanh(i[0]),
    "Unsqueeze": _unsqueeze,
}
"""The operators of ONNX (default domain, opset 13 and later) that are known here."""
