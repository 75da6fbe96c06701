"""A package folder around an ONNX file: what the file shows is read from it, what only a person knows is declared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.documents.reading import read_document, write_file
from core.errors import ConfigurationError
from models.package.description import Description
from models.package.graph import Shown, read_graph, shown_by

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
    size: int | None = None  # where the file does not say it; 0: the graph takes an image of any size
    output: str = ""  # that of the scores, where there are several


def make_package(onnx_file: Path, folder: Path, declared: Declared) -> Shown:
    """Write a package to `folder`, whose codes and figures are placeholders; returns what was read from the file.

    Raises ConfigurationError when the file shows something else than what is declared, or is no such model.
    """
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already; choose another folder")
    model = read_graph(onnx_file)
    shown = _with_size(shown_by(model, onnx_file.name, declared.output), declared, onnx_file.name)
    weights = model.SerializeToString()
    if shown.dtype == "uint8" and declared.range != (0.0, 255.0):
        raise ConfigurationError(f"{onnx_file.name} takes whole numbers (uint8): black is 0 and white 255")
    if shown.outputs and shown.outputs != len(declared.findings):
        raise ConfigurationError(
            f"{onnx_file.name} gives {shown.outputs} scores, and {len(declared.findings)} findings are named; "
            "give --finding once for each, in their order"
        )
    text = _text(shown, declared, hashlib.sha256(weights).hexdigest())
    description = read_document(Description, text, "what was declared")
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    (folder / "models" / "model.onnx").write_bytes(weights)
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0", "name": declared.name}))
    write_file(folder / "candor.json", description)
    return shown


def _with_size(shown: Shown, declared: Declared, called: str) -> Shown:
    if shown.size == 0 and declared.size is None:
        raise ConfigurationError(
            f"{called} takes an image of any size; say at which it was trained, as --size 224, or --size 0 where the "
            "graph itself resizes"
        )
    if shown.size and declared.size not in (None, shown.size):
        raise ConfigurationError(f"{called} takes {shown.size} x {shown.size} px, and --size says {declared.size}")
    return replace(shown, size=shown.size or declared.size or 0)


def _text(shown: Shown, declared: Declared, sha256: str) -> str:
    """candor.json as JSON; without counts its figures are never shown, they print as not measured."""
    layout = "" if shown.layout == "NCHW" else shown.layout
    more = (("layout", layout), ("size", shown.size), ("mean", list(declared.mean)), ("std", list(declared.std)))
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
            "unknown_age_accepted": True,
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
