"""Weights that lie outside the file that was verified: ONNX calls them external data, and they are refused.

A tensor may name another file instead of holding its numbers, and ONNX Runtime then reads that file, by a path from the
working directory, whatever SHA-256 the graph itself has (onnx.proto, TensorProto.data_location). What can be verified
is one file, so all of a model must be in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import ConfigurationError, IntegrityError


def refuse_external_data(weights: bytes, called: str) -> None:
    """Raise IntegrityError when a tensor of the ONNX file `weights` is in another file; `called`: whose file it is.

    Every tensor counts: initialisers, sparse ones, constants, those of subgraphs, functions and training.
    ConfigurationError when the bytes are no ONNX model.
    """
    import onnx  # here, because listing packages need not wait for it

    try:
        model = onnx.load_from_string(weights)
    except Exception as error:  # a boundary: protobuf raises classes of its own
        raise ConfigurationError(f"the weights of {called} are no ONNX model") from error
    if next(tensors_elsewhere(model), None) is not None:
        raise IntegrityError(
            f"weights of {called} lie outside the file that was verified (external data); "
            "a package holds them in one file"
        )


def tensors_elsewhere(model: Any) -> Iterator[Any]:
    """The tensors of an ONNX model whose numbers are in another file."""
    import onnx

    for tensor in _messages(model, onnx.TensorProto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            yield tensor


def _messages(message: Any, kind: type[Any]) -> Iterator[Any]:
    """Every message of a kind below a protobuf `message`, whatever the path to it is called."""
    if isinstance(message, kind):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part, kind)
