"""A package folder around an ONNX file: what the file shows is read from it, what only a person knows is declared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.documents.reading import read_document, write_file
from core.errors import ConfigurationError
from models.external_data import refuse_external_data
from models.package.contents import sha256_of
from models.package.description import Description

MODALITIES = ("CR", "DX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What no file shows. `findings`: a name for each output, in their order; `activation`: still to be done."""

    name: str
    findings: Sequence[str]
    activation: str
    range: tuple[float, float]
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the file shows of itself; `size` is 0 where it takes any."""

    input_name: str
    output_name: str
    channels: int
    size: int
    outputs: int


def make_package(onnx_file: Path, folder: Path, declared: Declared) -> Shown:
    """Write a package to `folder`, whose codes and figures are placeholders; returns what was read from the file.

    Raises ConfigurationError when the file shows something else than what is declared, or is no such model.
    """
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already; choose another folder")
    shown = shown_by(onnx_file)
    if shown.outputs and shown.outputs != len(declared.findings):
        raise ConfigurationError(
            f"{onnx_file.name} gives {shown.outputs} scores, and {len(declared.findings)} findings are named; "
            "give --finding once for each, in their order"
        )
    description = read_document(Description, _text(shown, declared, sha256_of(onnx_file)), "what was declared")
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    shutil.copyfile(onnx_file, folder / "models" / "model.onnx")
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0", "name": declared.name}))
    write_file(folder / "candor.json", description)
    return shown


def shown_by(onnx_file: Path) -> Shown:
    """What an ONNX file shows of its input and output; ConfigurationError names what cannot be an image or scores."""
    import onnx

    try:
        weights = onnx_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{onnx_file} cannot be read ({error.strerror})") from error
    refuse_external_data(weights, onnx_file.name)
    graph = onnx.load_from_string(weights).graph
    known = {initializer.name for initializer in graph.initializer}
    inputs = [each for each in graph.input if each.name not in known]
    if len(inputs) != 1:
        raise ConfigurationError(f"{onnx_file.name} takes {len(inputs)} inputs, and a package declares one image")
    if len(graph.output) != 1:
        names = ", ".join(output.name for output in graph.output)
        raise ConfigurationError(f"{onnx_file.name} gives {len(graph.output)} outputs ({names}); export one of scores")
    taken, given = _shape(inputs[0]), _shape(graph.output[0])
    if len(taken) != 4 or taken[1] not in (1, 3) or taken[2] != taken[3]:
        raise ConfigurationError(
            f"the input of {onnx_file.name} is {taken}; a package declares [n, 1 or 3, side, side]"
        )
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ConfigurationError(f"the input of {onnx_file.name} is not float32; export it so")
    return Shown(
        input_name=inputs[0].name,
        output_name=graph.output[0].name,
        channels=taken[1],
        size=taken[2],
        outputs=given[1] if len(given) == 2 else 0,
    )


def _shape(value: Any) -> list[int]:
    """The fixed lengths, 0 where any will do."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _text(shown: Shown, declared: Declared, sha256: str) -> str:
    """candor.json as JSON; without counts its figures are never shown, they print as not measured."""
    more = (("size", shown.size), ("mean", list(declared.mean)), ("std", list(declared.std)))
    entries = {
        "name": declared.name,
        "version": "0.1.0",
        "sha256": sha256,
        "manufacturer": "not stated",
        "intended_use": "Research only; to be described before anybody relies on it.",
        "accepts": {
            "modalities": list(MODALITIES),
            "body_parts": ["CHEST"],
            "body_part_may_be_missing": False,
            "views": ["PA", "AP"],
            "photometric_interpretations": ["MONOCHROME1", "MONOCHROME2"],
            "minimum_age_years": 18,
            "unknown_age_accepted": False,
            "minimum_rows": 256,
            "minimum_columns": 256,
        },
        "input": {
            "name": shown.input_name,
            "range": list(declared.range),
            "channels": shown.channels,
            **{key: value for key, value in more if value},
        },
        "outputs": {"logits": shown.output_name, "activation": declared.activation},
        "findings": [
            {
                "name": name,
                "code": {"value": name.upper()[:16], "scheme": "99LOCAL", "meaning": name.replace("_", " ")[:64]},
                "operating_point": {"threshold": 0.5, "sensitivity": 0.0, "specificity": 0.0},
            }
            for name in declared.findings
        ],
    }
    return json.dumps(entries)
