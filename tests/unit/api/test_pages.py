"""Pages: everything is escaped, nothing is loaded, and each chart says its figures in words too."""

import io
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
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
from api.pages.kit.scale import between, scale_of, tick_text

EVIL = "<script>alert('x')</script>\"&"
VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Elements and words of a page; fails when an element is not closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        self.words.append(data)

    def named(self, name):
        return [attributes for element, attributes in self.elements if element == name]


def picture(kind="png"):
    into = io.BytesIO()
    Image.new("L", (8, 8), 128).save(into, kind)
    return into.getvalue()


def every_block():
    rows = [Row(label=EVIL, value=0.5, low=0.25, high=0.75, counts=EVIL, note=EVIL, mark=EVIL)]
    curve = Series(label=EVIL, points=[(0, 0), (1, 1)], low=[0, 0.9], high=[0.1, 1], counts=[1, 2], has_markers=True)
    charts = [
        forest(rows, caption=EVIL, value_label=EVIL, counts_label=EVIL, reference=0.5),
        bars(rows, caption=EVIL, value_label=EVIL, counts_label=EVIL),
        lines([curve], title=EVIL, x_label=EVIL, y_label=EVIL, diagonal=EVIL, caption=EVIL),
    ]
    return [
        paragraph(EVIL),
        callout("warn", EVIL, EVIL),
        facts({EVIL: EVIL}),
        table([EVIL, EVIL], [[EVIL, EVIL]], caption=EVIL),
        gallery([figure(picture(), EVIL, EVIL)]),
        grid(charts),
        folded(EVIL, [paragraph(EVIL)]),
    ]


def test_words_from_outside_never_become_markup():
    text = page(EVIL, [Section(title=EVIL, blocks=every_block())], subtitle=EVIL, notice=EVIL)
    found = Reader(text)
    assert found.named("script") == []
    assert "<script" not in text
    values = {name for _, attributes in found.elements for name in attributes}
    assert not {name for name in values if name.startswith("on")}
    assert sum(EVIL in word for word in found.words) > 20


def test_a_page_requests_nothing_from_elsewhere():
    found = Reader(page("title", [Section(title="one", blocks=every_block())]))
    policy = next(entry["content"] for entry in found.named("meta") if "http-equiv" in entry)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    addresses = [v for _, attributes in found.elements for k, v in attributes.items() if k in ("src", "href")]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in page("title", [])
    assert "@import" not in page("title", [])


def test_sections_of_one_title_have_addresses_of_their_own_and_long_pages_a_list_of_them():
    short, long = ([Section(title="Same", blocks=())] * count for count in (3, 4))
    found = Reader(page("title", long))
    identities = [entry["id"] for entry in found.named("section")]
    assert len(set(identities)) == 4
    links = [entry["href"] for entry in found.named("a") if entry["href"] != "#content"]
    assert links == [f"#{identity}" for identity in identities]
    assert Reader(page("title", short)).named("nav") == []


def test_a_forest_plot_says_every_interval_in_words_and_draws_it_in_its_place():
    rows = [
        Row(label="all", value=0.9, low=0.85, high=0.95, counts="300 / 900", is_reference=True),
        Row(label="view = AP", value=0.8, low=0.7, high=0.88, mark="Holm"),
        Row(label="sex = O", value=None, note="suppressed"),
    ]
    markup = forest(rows, caption="c", value_label="AUROC", reference=0.9, bounds=(0.5, 1.0))
    found = Reader(markup)
    words = " ".join(found.words)
    for said in ("0.90", "0.85 to 0.95", "0.80", "0.70 to 0.88", "Holm", "suppressed", "300 / 900"):
        assert said in words
    whiskers = [entry for entry in found.named("line") if entry["class"] == "whisker"]
    along = [(entry["x1"], entry["x2"]) for entry in whiskers if entry["x1"] != entry["x2"]]
    assert along == [("70%", "90%"), ("40%", "76%")]
    references = [entry["x1"] for entry in found.named("line") if entry["class"] == "reference-line"]
    assert references == ["80%"] * 3
    shapes = [name for name, attributes in found.elements if attributes.get("class", "").startswith("marker")]
    assert shapes == ["path", "path"]  # a square and a diamond; nothing is drawn for what is suppressed


def test_an_interval_that_leaves_the_axis_has_no_end_there():
    row = Row(label="few", value=0.6, low=0.2, high=0.9)
    found = Reader(forest([row], caption="c", value_label="v", bounds=(0.5, 1.0)))
    whiskers = [(e["x1"], e["x2"]) for e in found.named("line") if e["class"] == "whisker"]
    assert whiskers == [("0%", "80%"), ("80%", "80%")]


def test_values_that_are_no_numbers_are_not_drawn():
    rows = [Row(label="a", value=0.5, low=math.nan, high=math.nan), Row(label="b", value=math.nan)]
    markup = forest(rows, caption="c", value_label="v")
    assert [e for e in Reader(markup).named("line") if e["class"] == "whisker"] == []
    assert "nan" not in markup
    assert "no data" in Reader(markup).words


def test_bars_begin_at_zero():
    rows = [Row(label="AP", value=0.3), Row(label="PA", value=-0.1)]
    found = Reader(bars(rows, caption="c", value_label="rate", bounds=(-0.2, 0.4)))
    drawn = [(entry["x"], entry["width"]) for entry in found.named("rect")]
    assert drawn == [("33.33%", "50%"), ("16.67%", "16.67%")]


def svg_of(markup):
    return ElementTree.fromstring(re.search(r"<svg.*?</svg>", str(markup), re.S)[0])


def test_curves_are_drawn_to_scale_thinned_and_named():
    points = [(index / 9999, (index / 9999) ** 2) for index in range(10_000)]
    markup = lines([Series(label="ROC", points=points)], title="t", x_label="x", y_label="y", diagonal="chance")
    drawing = svg_of(markup)
    assert drawing.find("title").text == "t"
    assert "ROC" in drawing.find("desc").text
    path = next(entry.get("d") for entry in drawing.iter("path"))
    pairs = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    assert len(pairs) == 240
    assert (pairs[0], pairs[-1]) == ((46.0, 256.0), (328.0, 10.0))
    assert len(markup) < 12_000


def test_a_reliability_curve_shows_its_bins_and_leaves_out_what_is_empty():
    one = Series(
        label="all",
        points=[(0.1, 0.2), (math.nan, math.nan), (0.9, 0.8)],
        low=[0.1, math.nan, 0.7],
        high=[0.3, math.nan, 0.9],
        counts=[40, 0, 10],
        has_markers=True,
    )
    markup = lines([one], title="t", x_label="predicted", y_label="observed")
    drawing = svg_of(markup)
    heights = [float(e.get("y1")) - float(e.get("y2")) for e in drawing.iter("line") if "count" in e.get("class")]
    assert heights == [34.0, 8.5]
    assert len([e for e in drawing.iter("line") if e.get("class") == "whisker"]) == 2
    assert "nan" not in markup
    assert {"0.100", "0.200", "0.300", "40"} <= set(Reader(markup).words)


def test_six_curves_differ_in_dash_and_marker_as_well_as_in_colour():
    series = [Series(label=str(index), points=[(0, 0), (1, 1)], has_markers=True) for index in range(6)]
    drawing = svg_of(lines(series, title="t", x_label="x", y_label="y"))
    groups = list(drawing.iter("g"))
    markers = {next(e.get("d") for e in group.iter("path") if e.get("class") == "point") for group in groups}
    assert len(markers) == len({group.get("class") for group in groups}) == 6
    style = page("t", [])
    dashes = [re.search(rf"\.s{n} {{[^}}]*?--dash: ([^;}}]+)", style) for n in range(1, 7)]
    assert len({dash[1] if dash else "" for dash in dashes}) == 6


def test_a_picture_is_embedded_in_the_document_and_other_bytes_are_refused():
    for kind, media_type in (("png", "image/png"), ("jpeg", "image/jpeg")):
        image = Reader(figure(picture(kind), "a map")).named("img")[0]
        assert image["src"].startswith(f"data:{media_type};base64,")
        assert image["alt"] == "a map"
    with pytest.raises(ValueError, match="JPEG or PNG"):
        figure(b"<svg/>", "no")


def test_axes_have_round_ends_that_hold_what_is_drawn():
    assert scale_of([0.812, 0.955, None, math.inf]).ticks == (0.8, 0.85, 0.9, 0.95, 1.0)
    assert scale_of([]).ticks[0] == 0.0
    one = scale_of([0.5])
    assert one.low < 0.5 < one.high
    assert between(0.0, 1.0).ticks == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert between(0.0, 1.0).share(7.0) == 1.0
    assert [tick_text(value) for value in (0.0, 0.25, 1000.0, 0.1 + 0.2)] == ["0", "0.25", "1,000", "0.3"]
