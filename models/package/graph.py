"""What an ONNX file shows of itself: its image, its scores, and weights that an exporter put into a file next to it."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import ConfigurationError
from models.external_data import refuse_external_data, tensors_elsewhere
from models.package.described_input import Layout

_MOST_BYTES = 2**31 - 1  # of a protobuf message
_POINTER = b"version https://git-lfs.github.com/spec"
_OTHER_KINDS = (
    (_POINTER, "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (b"PK\x03\x04", "is an archive, as torch.save, TorchScript and Keras write it; export the network as ONNX"),
    (b"\x89HDF", "is an HDF5 file of Keras; export the network as ONNX"),
    (b"\x80", "is a pickle, as torch.save and joblib write it; export the network as ONNX"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the file shows of itself; `size` and `outputs` are 0 where it does not say or takes any."""

    input_name: str
    output_name: str
    channels: int
    size: int
    outputs: int
    layout: Layout
    dtype: str


def read_graph(onnx_file: Path) -> Any:
    """The ONNX file as a protobuf message that holds all of its weights; ConfigurationError says why it cannot be."""
    import onnx

    try:
        weights = onnx_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{onnx_file} cannot be read ({error.strerror})") from error
    for magic, words in _OTHER_KINDS:
        if weights.startswith(magic):
            raise ConfigurationError(f"{onnx_file.name} {words}")
    try:
        model = onnx.load_from_string(weights)
    except Exception as error:  # a boundary: protobuf raises classes of its own
        raise ConfigurationError(f"{onnx_file.name} is no ONNX model, or only a part of one") from error
    _take_in(model, onnx_file)
    return model


def _take_in(model: Any, onnx_file: Path) -> None:
    """Bring the weights of files in the same folder into the graph, as torch's exporter leaves them in FILE.data."""
    from onnx.external_data_helper import load_external_data_for_tensor

    tensors = list(tensors_elsewhere(model))
    sizes = {name: _size_of_neighbour(onnx_file, name) for name in map(_place, tensors)}
    if sum(sizes.values()) + model.ByteSize() > _MOST_BYTES:
        raise ConfigurationError(f"{onnx_file.name} and its weights are over 2 GB, more than one ONNX file can hold")
    for tensor in tensors:
        try:
            load_external_data_for_tensor(tensor, str(onnx_file.parent))
        except Exception as error:  # a boundary: onnx raises a dozen classes without a common base
            raise ConfigurationError(f"{_place(tensor)}, the weights of {onnx_file.name}, is cut short") from error
        tensor.ClearField("data_location")
        tensor.ClearField("external_data")
    refuse_external_data(model.SerializeToString(), onnx_file.name)


def _place(tensor: Any) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == "location"), "")


def _size_of_neighbour(onnx_file: Path, name: str) -> int:
    """Bytes of a file of weights; ConfigurationError unless it is a plain file in the folder of the graph."""
    if not name or PurePosixPath(name).name != name or "\\" in name:
        raise ConfigurationError(
            f"weights of {onnx_file.name} are outside its folder (external data); export it into one file"
        )
    try:
        found = (onnx_file.parent / name).lstat()
    except OSError as error:
        raise ConfigurationError(
            f"the weights of {onnx_file.name} are in {name}, which is not next to it; put both into one folder"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{name}, the weights of {onnx_file.name}, is a link or no file; put the file there")
    return found.st_size


def shown_by(model: Any, called: str, output: str = "") -> Shown:
    """What the graph shows; `output`: that of the scores, where there are several.

    ConfigurationError names what cannot be an image or scores.
    """
    taken, given = _input(model.graph, called), _output(model.graph, called, output)
    shape = _shape(taken)
    layout = _layout(shape, called)
    channels, side = (shape[1], shape[2:]) if layout == "NCHW" else (shape[3], shape[1:3])
    if 0 not in side and side[0] != side[1]:
        raise ConfigurationError(
            f"{called} takes {side[0]} x {side[1]} px, and Candor pads an image to a square; export it for a square"
        )
    if shape[0] > 1:
        raise ConfigurationError(f"{called} takes {shape[0]} images at once; export it for one, or for any number")
    return Shown(
        input_name=taken.name,
        output_name=given.name,
        channels=channels,
        size=max(side),
        outputs=_scores(_shape(given), called, given.name),
        layout=layout,
        dtype=_dtype(taken, called),
    )


def _input(graph: Any, called: str) -> Any:
    known = {initializer.name for initializer in graph.initializer}
    inputs = [each for each in graph.input if each.name not in known]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise ConfigurationError(f"{called} takes {len(inputs)} inputs ({names}), and a package declares one image")
    return inputs[0]


def _output(graph: Any, called: str, name: str) -> Any:
    outputs = {each.name: each for each in graph.output}
    names = ", ".join(f"{each} {_words(_shape(value))}" for each, value in outputs.items())
    if name and name not in outputs:
        raise ConfigurationError(f"{called} gives no output {name}; it gives {names}")
    if not name and len(outputs) != 1:
        raise ConfigurationError(f"{called} gives {len(outputs)} outputs ({names}); name that of the scores: --output")
    return outputs[name or next(iter(outputs))]


def _layout(shape: Sequence[int], called: str) -> Layout:
    """Where the channels are: in the second place or the last one."""
    if len(shape) == 4 and shape[1] in (1, 3):
        return "NCHW"
    if len(shape) == 4 and shape[3] in (1, 3):
        return "NHWC"
    more = {0: "it says no shape", 3: "it has no batch dimension", 5: "five dimensions are a volume"}
    words = f" ({more.get(len(shape), 'no number of channels is 1 or 3')})"
    raise ConfigurationError(
        f"the input of {called} is {_words(shape)}{words}; "
        "export it as [n, 1 or 3, side, side], or [n, side, side, 1 or 3]"
    )


def _scores(shape: Sequence[int], called: str, name: str) -> int:
    """How many scores an image gets; 0 where the file does not say."""
    if len(shape) <= 1:
        return len(shape)  # one for each image of the batch
    if any(length != 1 for length in shape[2:]):
        raise ConfigurationError(
            f"the output {name} of {called} is {_words(shape)}, and a package declares one score for each finding"
        )
    return shape[1]


def _dtype(value: Any, called: str) -> str:
    from onnx import TensorProto

    known = {
        TensorProto.FLOAT: "float32",
        TensorProto.FLOAT16: "float16",
        TensorProto.DOUBLE: "float64",
        TensorProto.UINT8: "uint8",
    }
    kind = value.type.tensor_type.elem_type
    if kind not in known:
        raise ConfigurationError(f"the input of {called} is none of {', '.join(known.values())}; export it as float32")
    return known[kind]


def _shape(value: Any) -> list[int]:
    """The fixed lengths, 0 where any will do."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _words(shape: Sequence[int]) -> str:
    return f"[{', '.join(str(length or '?') for length in shape)}]"
