"""The model card, Markdown and HTML, rendered from a package's own documents and from nothing else.

Every figure is read from `docs/evaluation.json`, `audit.json`, `explanation.json` and `quality.json`; the maker's words
are in `docs/prose.json` (without it, those of candor.json). A section is there when its document is. Nothing is typed
by hand, so after a change of any of them one call of `write_card` makes the card true again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from api.pages.card import evaluation as card_evaluation
from api.pages.card import gates as card_gates
from api.pages.card.blocks import Block, Bullets, CardSection, Material, Text
from api.pages.card.html import html
from api.pages.card.markdown import markdown
from core.documents.reading import read_file
from core.errors import ConfigurationError
from core.wording import number
from explain.gate.document import Explanation
from fairness.audit.document import AuditDocument
from models.documents.evaluation import Evaluation
from models.documents.quality import QualityFigures
from models.package.description import AcceptsSection, Description, Prose
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
    docs = folder / "docs"
    description = read_file(Description, folder / DESCRIPTION)
    if description is None:
        raise ConfigurationError(f"{folder} is not a model package: it has no candor.json")
    audit = read_file(AuditDocument, docs / "audit.json")
    material = Material(
        folder=folder,
        description=description,
        prose=read_file(Prose, docs / "prose.json") or Prose(),
        evaluation=read_file(Evaluation, docs / "evaluation.json"),
        audit=audit.audit() if audit else None,
        explanation=read_file(Explanation, docs / "explanation.json"),
        quality=read_file(QualityFigures, docs / "quality.json"),
    )
    if material.evaluation and material.evaluation.model.sha256 != description.sha256:
        raise ConfigurationError(f"docs/evaluation.json of {folder.name} is of other weights; evaluate it again")
    return material


def markdown_of(material: Material) -> str:
    """The card as Markdown."""
    return markdown(_title(material), list(_sections(material)))


def html_of(material: Material) -> str:
    """The card as an HTML document."""
    return html(_title(material), "Model card", list(_sections(material)))


def _title(material: Material) -> str:
    return f"{material.description.name} {material.description.version}"


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
    not_for = material.prose.not_for or material.description.not_for or ()
    if limits := [*not_for, *material.prose.limits]:
        yield CardSection("Limits, and what it is not for", [Bullets(limits)])


def _lead(material: Material) -> Iterator[Block]:
    description, figures = material.description, material.evaluation
    yield Text(description.intended_use, strong=True)
    opset = figures and figures.model.opset
    said = [f"ONNX{f', opset {opset}' if opset else ''}, SHA-256 of the weights `{description.sha256}`."]
    if architecture := material.prose.architecture:
        size = figures and figures.recipe and figures.recipe.network_size
        said.append(f"{architecture}{f' at {size} px' if size else ''}.")
    if outputs := material.prose.outputs:
        said.append(outputs)
    yield Text(" ".join(said))
    if figures and (found := figures.largest_differences_from_torch):
        differences = "; ".join(f"{name.replace('_', ', ')}: {value:.1e}" for name, value in found.items())
        yield Text(f"Largest difference of ONNX Runtime from torch: {differences}.")
    yield Text(
        "This card is made from the documents in this package; brackets hold 95 % intervals (that of ECE is around the "
        "error less what chance adds, as wide as a bootstrap over patients makes it)."
    )
    yield Text(_accepts(description.accepts))


def _accepts(accepts: AcceptsSection) -> str:
    def some(values: tuple[str, ...]) -> str:
        return ", ".join(value or "not given" for value in values)

    oldest = accepts.maximum_age_years
    ages = f"from {number(accepts.minimum_age_years, 0)}" + (f" to {number(oldest, 0)}" if oldest else "")
    return (
        f"Accepted: {some(accepts.modalities)} of {some(accepts.body_parts)}, views {some(accepts.views)}, "
        f"{some(accepts.photometric_interpretations)}, patients {ages} years, at least {accepts.minimum_columns} x "
        f"{accepts.minimum_rows} pixels."
    )


def _data(material: Material) -> Iterator[Block]:
    if source := material.prose.data_source:
        yield Text(f"{source}.")
    if (table := card_evaluation.data_table(material.evaluation)) is not None:
        yield table
    if attribution := [*material.prose.attribution, *(material.quality.attribution if material.quality else ())]:
        yield Bullets(attribution)
