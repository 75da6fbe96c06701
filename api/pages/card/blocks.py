"""What a model card is made of, before it is Markdown or HTML: both are written from the same blocks.

Text is plain; a `Curves` or `Forest` is drawn where drawings can be (HTML) and named where they cannot (Markdown).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.wording import with_interval
from explain.gate.document import Explanation
from fairness.audit.nouns import Audit
from models.documents.evaluation import Evaluation
from models.documents.quality import QualityFigures
from models.package.description import Description, Prose

_WIDEST, _ROOM, _WRAPPED = 134, 3, 28  # characters of a page of 1056 px, between columns, of words that wrap
_HEAD = 0.9  # letters of a heading are smaller
Estimate = Sequence[float | None]  # [value, low, high]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `strong` for what must not be overlooked."""

    words: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table; the first `text_columns` columns are words, the others figures."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1

    def parts(self) -> Iterator[Grid]:
        """Itself, or as many grids as its columns need to fit a window of 1280 px; columns of words are in each."""
        words, group = list(range(self.text_columns)), list[int]()
        for column in range(self.text_columns, len(self.columns)):
            if group and sum(map(self._width, (*words, *group, column))) > _WIDEST:
                yield self._of([*words, *group])
                group = []
            group.append(column)
        yield self._of([*words, *group])

    def _of(self, chosen: Sequence[int]) -> Grid:
        rows = [[row[column] for column in chosen] for row in self.rows]
        columns = [self.columns[column] for column in chosen]
        return Grid(caption=self.caption, columns=columns, rows=rows, text_columns=self.text_columns)

    def _width(self, column: int) -> int:
        """In characters, with the room between columns; words wrap, figures do not."""
        longest = max(round(_HEAD * len(self.columns[column])), *(len(row[column]) for row in self.rows), 0)
        return _ROOM + (min(longest, _WRAPPED) if column < self.text_columns else longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve: points (x, y), and for each its interval and how many cases stand behind it, where that is known."""

    label: str
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    counts: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Curves on common axes 0..1."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Line]
    diagonal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """A value with its interval; `note` says why there is none."""

    label: str
    estimate: Estimate
    counts: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Values with intervals below each other."""

    title: str
    value_label: str
    rows: Sequence[ForestRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the package's docs folder."""

    path: Path
    words: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Drawings or pictures side by side."""

    blocks: Sequence[Curves | Forest | Picture]


Block = Text | Bullets | Grid | Curves | Forest | Picture | Gallery


@dataclass(frozen=True, slots=True)
class CardSection:
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a card is made from: candor.json and the documents of a package's docs folder; None: there is none."""

    folder: Path
    description: Description
    prose: Prose
    evaluation: Evaluation | None = None
    audit: Audit | None = None
    explanation: Explanation | None = None
    quality: QualityFigures | None = None


def interval(estimate: Estimate | None, digits: int = 2) -> str:
    """`0.88 [0.83, 0.94]`, or `-` where there is no value."""
    return with_interval(*(estimate or (None,)), digits=digits)
