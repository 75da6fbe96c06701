"""Pages that people look at: one self-contained HTML document, without a script and without a network request.

A page is a title and sections; a section is a heading and blocks (text, tables, callouts, charts, pictures):

    page("Audit", [Section(title="AUROC by view", blocks=(paragraph("..."), forest(rows, caption="...")))])

Whatever is handed in as `str` is escaped; only what these functions made (`Markup`) is taken as HTML. No chart needs
its colours: series differ in shape and dash too, and every figure is in a table too.
"""

from api.pages.kit.blocks import callout, facts, figure, folded, gallery, grid, paragraph, table
from api.pages.kit.charts import Row, bars, forest
from api.pages.kit.curves import Series, lines
from api.pages.kit.page import Section, page

__all__ = [
    "Row",
    "Section",
    "Series",
    "bars",
    "callout",
    "facts",
    "figure",
    "folded",
    "forest",
    "gallery",
    "grid",
    "lines",
    "page",
    "paragraph",
    "table",
]
