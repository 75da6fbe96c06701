"""The pages that are looked at: each of Candor's pages, from nothing but synthetic data, as a file."""

import io
import math
from pathlib import Path

from PIL import Image

from api.pages.kit import (
    Row,
    Section,
    Series,
    bars,
    callout,
    facts,
    figure,
    folded,
    forest,
    gallery,
    grid,
    lines,
    page,
    paragraph,
    table,
)


def kit_page(folder):
    """Every block there is, with long names, six curves, and rows without a figure."""
    into = io.BytesIO()
    Image.new("L", (64, 64), 128).save(into, "png")
    picture = figure(into.getvalue(), "a grey square", "a caption")
    rows = [
        Row(label="all patients", value=0.9, low=0.88, high=0.92, counts="1,204 / 21,229", is_reference=True),
        Row(
            label="women 60-79, AP",
            detail="cardiomegaly",
            value=0.8,
            low=0.7,
            high=0.88,
            counts="90 / 800",
            mark="Holm",
        ),
        Row(label="a_very_long_name_without_any_blank_that_somebody_gave_a_station", value=None, note="withheld"),
    ]
    curves = [
        Series(label=f"cohort {k}", points=[(x / 50, (x / 50) ** (k / 9)) for x in range(51)]) for k in range(1, 7)
    ]
    middle = [0.5 + 0.4 * math.sin(index) for index in range(10)]
    binned = Series(
        label="all",
        points=[((index + 0.5) / 10, value) for index, value in enumerate(middle)],
        low=[value - 0.05 for value in middle],
        high=[value + 0.05 for value in middle],
        counts=[100 - 9 * index for index in range(10)],
        has_markers=True,
    )
    band = Series(label="deletion", points=curves[0].points, low=[0.0] * 51, high=[1.0] * 51)
    axes = {
        "x_label": "1 - specificity, said in so many words that they do not fit in one line",
        "y_label": "sensitivity",
    }
    charts = [lines(some, title=name, diagonal="chance", **axes) for name, some in
              (("ROC", curves), ("Reliability", [binned]), ("Deletion", [band]))]  # fmt: skip
    wide = table([f"column {n}" for n in range(14)], [[f"{n}.123456" for n in range(14)]] * 3, caption="a wide table")
    sections = [
        Section(title="Rows", blocks=[forest(rows, caption="c", value_label="AUROC", reference=0.9),
                                      bars(rows[:2], caption="b", value_label="rate")]),
        Section(title="Curves", blocks=[grid(charts)]),
        Section(title="Words", blocks=[wide, facts({"hash": "0f" * 32}), folded("more", [paragraph("inside")])]),
        Section(title="Pictures", blocks=[gallery([picture] * 3)]),
    ]  # fmt: skip
    lead = [callout(kind, "a statement", "what it means") for kind in ("ok", "warn", "insufficient")]
    path = folder / "kit.html"
    path.write_text(page("Every block there is", sections, subtitle="and what it is for", lead=lead), encoding="utf-8")
    return path


def card_page(_folder):
    """The card of the shipped model, as it ships."""
    return Path(__file__).resolve().parents[2] / "models/zoo/chest_radiograph/docs/card.html"
