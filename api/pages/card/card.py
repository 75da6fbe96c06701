"""The model card, Markdown and HTML, rendered from a package's own documents and from nothing else.

Every figure is read from `docs/evaluation.json`, `audit.json`, `explanation.json` and `quality.json`; the maker's words
are in `docs/prose.json` (without it, those of candor.json). A section is there when its document is. Nothing is typed
by hand, so after a change of any of them one call of `write_card` makes the card true again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.pages.card import evaluation as card_evaluation
from api.pages.card import gates as card_gates
from api.pages.card.blocks import Block, Bullets, CardSection, Material, Text
from api.pages.card.html import html
from api.pages.card.markdown import markdown
from core.errors import ConfigurationError
from core.wording import number
from models.package.format import CARD, DESCRIPTION

README = Path("docs/README.md")


def write_card(folder: Path) -> tuple[Path, Path]:
    """Render both forms of the card of the package in `folder`; returns their paths.

    Raises ConfigurationError when a document cannot be read, or when the evaluation is that of other weights.
    """
    material = read_material(folder)
    try:
        text, page = markdown_of(material), html_of(material)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"the figures of {folder.name} are not what a card needs: {error!r}") from error
    try:
        (folder / "docs").mkdir(exist_ok=True)
        (folder / README).write_text(text, encoding="utf-8")
        (folder / CARD).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the card of {folder.name} cannot be written ({error.strerror})") from error
    return folder / README, folder / CARD


def read_material(folder: Path) -> Material:
    """The documents that a card is made from."""
    material = Material(
        folder=folder,
        description=_document(folder / DESCRIPTION),
        prose=_document(folder / "docs" / "prose.json"),
        evaluation=_document(folder / "docs" / "evaluation.json"),
        audit=_document(folder / "docs" / "audit.json"),
        explanation=_document(folder / "docs" / "explanation.json"),
        quality=_document(folder / "docs" / "quality.json"),
    )
    if not material.description:
        raise ConfigurationError(f"{folder} is not a model package: it has no candor.json")
    evaluated = material.evaluation.get("model", {}).get("sha256", material.description["sha256"])
    if evaluated != material.description["sha256"]:
        raise ConfigurationError(f"docs/evaluation.json of {folder.name} is of other weights; evaluate it again")
    return material


def markdown_of(material: Material) -> str:
    """The card as Markdown."""
    return markdown(_title(material), list(_sections(material)))


def html_of(material: Material) -> str:
    """The card as an HTML document."""
    return html(_title(material), "Model card", list(_sections(material)))


def _title(material: Material) -> str:
    return f"{material.description['name']} {material.description['version']}"


def _sections(material: Material) -> Iterator[CardSection]:
    yield CardSection("", list(_lead(material)))
    yield from card_evaluation.sections(material)
    yield from card_gates.fairness(material)
    yield from card_gates.explanation(material)
    yield from card_gates.quality(material)
    if training := card_evaluation.training_section(material):
        yield training
    if data := list(_data(material)):
        yield CardSection("Data", data)
    if limits := [*_words(material, "not_for"), *material.prose.get("limits", ())]:
        yield CardSection("Limits, and what it is not for", [Bullets(limits)])


def _lead(material: Material) -> Iterator[Block]:
    description, figures = material.description, material.evaluation
    yield Text(description["intended_use"], strong=True)
    opset = figures.get("model", {}).get("opset")
    said = [f"ONNX{f', opset {opset}' if opset else ''}, SHA-256 of the weights `{description['sha256']}`."]
    if architecture := material.prose.get("architecture"):
        size = figures.get("recipe", {}).get("network_size")
        said.append(f"{architecture}{f' at {size} px' if size else ''}.")
    if outputs := material.prose.get("outputs"):
        said.append(str(outputs))
    yield Text(" ".join(said))
    if found := figures.get("largest_differences_from_torch"):
        differences = "; ".join(f"{name.replace('_', ', ')}: {value:.1e}" for name, value in found.items())
        yield Text(f"Largest difference of ONNX Runtime from torch: {differences}.")
    yield Text(
        "This card is made from the documents beside it; brackets hold 95 % intervals (that of ECE, a bootstrap over "
        "patients, leans upwards in small samples)."
    )
    yield Text(_accepts(description["accepts"]))


def _accepts(accepts: dict[str, Any]) -> str:
    def some(key: str) -> str:
        return ", ".join(value or "not given" for value in accepts[key])

    oldest = accepts.get("maximum_age_years")
    ages = f"from {number(accepts['minimum_age_years'], 0)}" + (f" to {number(oldest, 0)}" if oldest else "")
    return (
        f"Accepted: {some('modalities')} of {some('body_parts')}, views {some('views')}, "
        f"{some('photometric_interpretations')}, patients {ages} years, at least {accepts['minimum_columns']} x "
        f"{accepts['minimum_rows']} pixels."
    )


def _data(material: Material) -> Iterator[Block]:
    if source := material.prose.get("data_source"):
        yield Text(f"{source}.")
    if (table := card_evaluation.data_table(material.evaluation)) is not None:
        yield table
    attribution = [*material.prose.get("attribution", ()), *material.quality.get("attribution", ())]
    if attribution:
        yield Bullets(attribution)


def _words(material: Material, key: str) -> list[str]:
    return list(material.prose.get(key) or material.description.get(key) or ())


def _document(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__})") from error
