"""Every figure on a model card is the one in the package's documents: both forms are parsed and compared.

The documents are the shipped package's, filled up with what newer ones hold, and every figure in them is replaced by
one that occurs once only: a figure in the wrong place, or one typed by hand, cannot pass.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from api.pages.card.card import html_of, markdown_of, read_material, write_card
from core.documents.reading import text_of
from core.errors import ConfigurationError
from core.wording import cohort_in_words
from fairness.audit import nouns
from fairness.audit.document import AuditDocument
from models.package.format import load_package
from models.registry import ZOO
from tests.known_model import make_known_model

SHIPPED = ZOO / "chest_radiograph"
HEADING = {
    "findings": "How well it tells them apart: held-out test patients, adults, 512 px",
    "points": "Operating points",
    "cohorts": "AUROC within cohorts (test patients, 512 px)",
    "sources": "AUROC by source and resolution (test patients)",
    "boxes": "Does the map point at the opacity? (radiologists' boxes)",
    "not shipped": "Trained, not shipped",
    "fairness": "For whom does it fail?",
    "maps": "Can its maps be trusted?",
    "quality": "Quality check",
    "data": "Data",
}


def unique(value: Any, draw: random.Random) -> Any:
    """The same document with other figures: each float in 0..1 and unlike all others, counts too."""
    if isinstance(value, dict):
        return {key: unique(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [unique(item, draw) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return draw.randrange(10_000, 99_999) if isinstance(value, int) else round(draw.random(), 7)


def evaluation(sha256: str) -> dict[str, Any]:
    figures = json.loads((SHIPPED / "docs" / "evaluation.json").read_text(encoding="utf-8"))
    for entry in figures["findings"].values():
        entry["curves"] = {
            "roc": [[0.0, 0.0], [0.1, 0.5], [0.3, 0.9], [1.0, 1.0]],
            "precision_recall": [[0.2, 0.9], [0.7, 0.5], [1.0, 0.2]],
            "reliability": [
                {"predicted": 0.1, "observed": 0.2, "low": 0.1, "high": 0.3, "n": 20},
                {"predicted": 0.6, "observed": 0.5, "low": 0.4, "high": 0.7, "n": 21},
            ],
        }
    figures["runtime"] = {"provider": "CPUExecutionProvider", "threads": 2, "images_per_second": 9.87}
    figures["localisation_gain"] = {"images": 4, "pointing": [0.4, 0.3, 0.5], "iou": [0.1, 0.05, 0.2]}
    figures = unique(figures, random.Random(1))
    figures["model"]["sha256"] = sha256
    return dict(figures)


def audit() -> dict[str, Any]:
    draw = random.Random(2)
    rows = [
        nouns.Row(
            finding=finding,
            metric=metric,
            cohort=cohort,
            value=draw.random(),
            low=draw.random(),
            high=draw.random(),
            n=draw.randrange(1000, 9999),
            positives=draw.randrange(1000, 9999),
            negatives=draw.randrange(1000, 9999),
        )
        for finding in ("effusion", "edema")
        for cohort in ("all", "view=AP", "sex=F", "sex=F & view=AP")
        for metric in ("auroc", "sensitivity", "specificity", "ppv")
    ]
    rows.append(nouns.Row(finding="edema", metric="sensitivity", cohort="sex=O", note="suppressed: fewer than 11"))
    test = nouns.Test(finding="edema", metric="fnr_gap", cohort="view=AP", gap=0.2173, p=0.0001, p_holm=0.0132, q=0.003)
    origin = nouns.Provenance(code_version="1", made_at="2026", source="x", rows=4321, patients=1234, tests=77)
    document = AuditDocument.of(nouns.Audit(provenance=origin, rows=tuple(rows), tests=(test,)))
    return dict(json.loads(text_of(document)))


def explanation(sha256: str) -> dict[str, Any]:
    return {
        "schema": 1, "passed": False, "failed": ["stability"], "sha256": sha256, "method": "class_activation",
        "images": "97 held-out patients", "weaker": "",
        "tests": [
            {"name": "stability", "passed": False, "words": "SSIM 0.713 after 1 % noise", "figures": {}},
            {"name": "localisation", "passed": None, "words": "3 images with boxes", "figures": {}},
        ],
        "comparison": {
            "finding": "lung_opacity", "images": 71, "patients": 68, "published_pneumonia_auprc": [0.16, 0.519],
            "most_per_pass": "class_activation",
            "methods": [
                {
                    "method": name, "parameters": {}, "forward_passes": passes, "pointing": [0.61 + add, 0.5, 0.7],
                    "auprc": [0.41 + add, 0.3, 0.5], "iou": [0.21 + add, 0.1, 0.3],
                    "chance": {"pointing": 0.11, "auprc": 0.12, "iou": 0.13}, "gain_per_pass": 0.01234 + add,
                }
                for name, passes, add in (("class_activation", 1, 0.0), ("rise", 100, 0.02))
            ],
        },
        "curves": {
            "randomisation": {"shares": [0.0, 0.5, 1.0], "ssim": [1.0, 0.4137, 0.1213], "random_pairs": 0.3},
            "faithfulness": {"map": {"shares": [0.0, 1.0], "deletion": [0.9, 0.1], "insertion": [0.1, 0.8]}},
        },
    }  # fmt: skip


def quality() -> dict[str, Any]:
    share = {"images": 1, "refused": 1, "share": [0.1, 0.2, 0.3]}
    caught = {"fault": "rotated", "how": "a quarter", "source": "made", "images": 1, "caught": [0.1, 0.2, 0.3]}
    control = {"control": "adults as children come", "images": 1, "called_child": [0.1, 0.2, 0.3]}
    control |= {"called_child_as_sent": [0.1, 0.2, 0.3], "refused": [0.1, 0.2, 0.3]}
    return dict(
        unique(
            {
                "false_refusals": {"512": {"all": share, "sex=F": share}, "128": {"all": share}},
                "caught": [
                    {**caught, "named": [0.1, 0.2, 0.3]},
                    {**caught, "how": "upside down", "named": [1.0, 1.0, 1.0]},
                ],
                "controls": [control],
                "not_measured": ["Laterals."],
                "attribution": ["Children: somebody's."],
            },
            random.Random(3),
        )
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_known_model(tmp_path_factory.mktemp("card"))
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    sha256 = load_package(folder).model.sha256
    documents = {
        "evaluation": evaluation(sha256), "audit": audit(), "explanation": explanation(sha256), "quality": quality(),
    }  # fmt: skip
    for name, document in documents.items():
        (docs / f"{name}.json").write_text(json.dumps(document))
    (docs / "prose.json").write_bytes((SHIPPED / "docs" / "prose.json").read_bytes())
    (docs / "overlay-opacity.jpg").write_bytes(
        (Path(__file__).parents[3] / "docs" / "pictures" / "summary-512.jpg").read_bytes()
    )
    write_card(folder)
    return folder


def documents_of(package: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (package / "docs").glob("*.json")}


Grids = dict[str, list[list[list[str]]]]


def whole(parts: list[list[list[str]]]) -> list[list[str]]:
    """Tables that were one before they had to fit the page: with the names that each of them repeats."""
    columns = dict.fromkeys(name for head, *_ in parts for name in head)
    lines = [
        {name: cell for (head, *_), row in zip(parts, rows, strict=True) for name, cell in zip(head, row, strict=True)}
        for rows in zip(*(part[1:] for part in parts), strict=True)
    ]
    return [list(columns), *([line[name] for name in columns] for line in lines)]


def markdown_grids(text: str) -> Grids:
    """Tables (rows of cells, the head first) by heading."""
    grids: Grids = {}
    heading, open_ = "", False
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        is_row = line.startswith("| ")
        if is_row and not open_:
            grids.setdefault(heading, []).append([])
        if is_row:
            grids[heading][-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        open_ = is_row or line.startswith("|-")
    return grids


class Page(HTMLParser):
    """Tables of a page by the heading above them, charts of rows and the figures of curves apart, and all its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.heading, self.inside, self.skipped = "", "", 0
        self.grids: Grids = {}
        self.charts: Grids = {}
        self.behind: Grids = {}
        self.words: list[str] = []
        self._now: list[list[str]] | None = None
        self._figure = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "svg"):
            self.skipped += 1
        self._figure += tag == "figure"
        if tag == "h2":
            self.heading, self.inside = "", "h2"
        if tag == "table":
            kinds = self.charts if dict(attrs).get("class") == "rows" else self.behind if self._figure else self.grids
            kinds.setdefault(self.heading, []).append([])
            self._now = kinds[self.heading][-1]
        elif tag == "tr" and self._now is not None:
            self._now.append([])
        elif tag in ("td", "th") and self._now is not None:
            self._now[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "svg"):
            self.skipped -= 1
        self._figure -= tag == "figure"
        if tag == "h2":
            self.inside = ""
        if tag == "table":
            self._now = None

    def handle_data(self, data: str) -> None:
        if self.skipped:
            return
        self.words.append(data)
        if self.inside == "h2":
            self.heading += data
        elif self._now and self._now[-1]:
            self._now[-1][-1] += data


def shown(estimate: list[float | None] | None, digits: int = 2) -> str:
    if estimate is None or estimate[0] is None:
        return "-"
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} [{low}, {high}]"


@pytest.fixture(scope="module", params=["markdown", "html"])
def grids(request: pytest.FixtureRequest, package: Path) -> Grids:
    if request.param == "markdown":
        return markdown_grids((package / "docs" / "README.md").read_text())
    return Page((package / "docs" / "card.html").read_text()).grids


def test_the_figures_of_each_finding_are_those_of_the_evaluation(grids: Grids, package: Path) -> None:
    figures = documents_of(package)["evaluation"]
    head, *rows = whole(grids[HEADING["findings"]])
    assert len(rows) == len(figures["shipped"])
    for name, row in zip(figures["shipped"], rows, strict=True):
        entry, cells = figures["findings"][name], dict(zip(head, row, strict=True))
        everyone = entry["test_512"]["all"]
        assert cells == {
            "finding": entry["words"],
            "+ / -": f"{everyone['positives']} / {everyone['negatives']}",
            "AUROC": shown(everyone["auroc"]),
            "text-mined labels let in": shown(entry["text_mined_too"]["auroc"]),
            "within view PA": shown(entry["test_512"]["view=PA"]["auroc"]),
            "within view AP": shown(entry["test_512"]["view=AP"]["auroc"]),
            "average precision": f"{everyone['average_precision']:.2f}",
            "ECE": shown(entry["expected_calibration_error"]),
            "ECE if perfect": shown(entry["calibration_error_if_perfect"]),
            "ECE less chance": f"{entry['calibration_error_debiased']:.2f}",
        }


def test_operating_points_are_those_of_the_evaluation(grids: Grids, package: Path) -> None:
    figures = documents_of(package)["evaluation"]
    _, *rows = whole(grids[HEADING["points"]])
    for name, row in zip(figures["shipped"], rows, strict=True):
        point, test = figures["findings"][name]["operating_point"], figures["findings"][name]["test_512"]["all"]
        assert row == [
            name,
            f"{point['threshold']:.3f}",
            shown([point["sensitivity"], *point["sensitivity_interval"]]),
            shown([point["specificity"], *point["specificity_interval"]]),
            shown(test["sensitivity"]),
            shown(test["specificity"]),
        ]


def test_cohorts_sources_boxes_and_what_did_not_ship_are_those_of_the_evaluation(grids: Grids, package: Path) -> None:
    figures = documents_of(package)["evaluation"]
    head, *rows = whole(grids[HEADING["cohorts"]])
    for name, row in zip(figures["shipped"], rows, strict=True):
        entry = figures["findings"][name]
        assert row == [name, *(shown(entry["test_512"][cohort]["auroc"]) for cohort in head[1:])]
    ((head, *rows),) = grids[HEADING["sources"]]
    for name, row in zip(figures["shipped"], rows, strict=True):
        assert row == [name, *(shown(figures["findings"][name]["by_source"][source]["auroc"]) for source in head[1:])]
    _, *rows = whole(grids[HEADING["boxes"]])
    measured = {**figures["localisation"], "gain over the control, paired": figures["localisation_gain"]}
    assert [row[0] for row in rows] == list(measured)
    for name, images, *cells in rows:
        keys = ("pointing", "chance", "times_chance", "pointing_centre", "average_precision", "iou")
        assert [images, *cells] == [str(measured[name]["images"]), *(shown(measured[name].get(key)) for key in keys)]
    ((_, *rows),) = grids[HEADING["not shipped"]]
    missing = [name for name in figures["held_out"] if name not in figures["shipped"]]
    assert rows == [[name, shown(figures["held_out"][name]["auroc"])] for name in missing]
    ((head, *rows),) = grids[HEADING["data"]]
    for split, patients, images, *tiers in rows:
        entry = figures["data"][split]
        assert [patients, images] == [str(entry["patients"]), str(entry["images"])]
        assert tiers == [str(entry["images_by_tier"][tier.removesuffix(" px")]) for tier in head[3:]]


def test_the_fairness_section_is_the_audit(grids: Grids, package: Path) -> None:
    document = documents_of(package)["audit"]
    found = {(row["finding"], row["metric"], row["cohort"]): row for row in document["rows"]}
    alarms, *parts = grids[HEADING["fairness"]]
    _, *rows = whole(parts)
    assert alarms[1:] == [["edema", "fnr_gap", "view=AP", "0.22", "0.013"]]
    assert [tuple(row[:2]) for row in rows] == [
        ("effusion", "all"), ("effusion", "view=AP"), ("effusion", "sex=F"),
        ("edema", "all"), ("edema", "view=AP"), ("edema", "sex=F"), ("edema", "sex=O"),
    ]  # fmt: skip
    for finding, cohort, missing, counts, *cells in rows[:-1]:
        mine = [found[finding, metric, cohort] for metric in ("auroc", "sensitivity", "specificity")]
        assert cells == [shown([row["value"], row["low"], row["high"]]) for row in mine]
        assert (counts, missing) == (f"{mine[0]['positives']} / {mine[0]['negatives']}", "")
    assert rows[-1][2:] == ["suppressed: fewer than 11", "-", "-", "-", "-"]


def test_the_gates_sections_are_their_documents(grids: Grids, package: Path) -> None:
    documents = documents_of(package)
    ((_, *rows),) = grids[HEADING["maps"]][:1]
    assert rows == [
        ["stability", "failed", "SSIM 0.713 after 1 % noise"], ["localisation", "not made", "3 images with boxes"],
    ]  # fmt: skip
    head, *methods = grids[HEADING["maps"]][1]
    assert head[2:] == ["pointing", "auprc", "iou", "AUPRC gain per pass"]
    for one, row in zip(documents["explanation"]["comparison"]["methods"], methods[:-1], strict=True):
        cells = [shown(one[key]) for key in ("pointing", "auprc", "iou")]
        assert row == [one["method"], str(one["forward_passes"]), *cells, f"{one['gain_per_pass']:.5f}"]
    assert methods[-1] == ["chance", "", "0.11", "0.12", "0.13", ""]
    (_, *refused), (_, *caught) = grids[HEADING["quality"]]
    entries = [
        (f"{tier} px", cohort, entry)
        for tier, cohorts in documents["quality"]["false_refusals"].items()
        for cohort, entry in cohorts.items()
    ]
    assert refused == [
        [tier, cohort, str(entry["images"]), str(entry["refused"]), shown(entry["share"], 3)]
        for tier, cohort, entry in entries
    ]
    assert caught == [
        [row["fault"], row["how"], row["source"], str(row["images"]), shown(row["caught"]), shown(row["named"])]
        for row in documents["quality"]["caught"]
    ]


def test_drawings_hold_the_figures_of_the_documents(package: Path) -> None:
    documents, page = documents_of(package), Page((package / "docs" / "card.html").read_text())
    shipped = {name: documents["evaluation"]["findings"][name] for name in documents["evaluation"]["shipped"]}
    forests = page.charts[HEADING["cohorts"]]
    for entry, (_, *rows) in zip(shipped.values(), forests, strict=True):
        by_words = {cohort_in_words(cohort): said for cohort, said in entry["test_512"].items()}
        for cohort, counts, _, value in rows:
            said = by_words[cohort]
            assert counts == f"{said['positives']} / {said['negatives']}"
            area = said["auroc"]
            assert value == (
                "too few of one kind" if area[0] is None else f"{area[0]:.2f} {area[1]:.2f} to {area[2]:.2f}"
            )
    drawn = [cell for table in page.behind["Curves"] for row in table for cell in row]
    for entry in shipped.values():
        for one in entry["curves"]["reliability"]:
            assert any(f"{one['observed']:.3f}" in cell or f"{one['observed']:.2f}" in cell for cell in drawn)


def without_commas(text: str) -> str:
    """1,234 as 1234."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)


def numbers_in(value: Any) -> set[float]:
    if isinstance(value, dict):
        return set().union(*map(numbers_in, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(numbers_in, value)) if value else set()
    if isinstance(value, str):
        return {float(token) for token in re.findall(r"\d+(?:\.\d+)?", without_commas(value))}
    return {float(value)} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def estimates_in(value: Any) -> list[list[float | None]]:
    """Everything in a document that is a value with its interval, in whichever way it is written."""
    if isinstance(value, dict):
        found = [entry for item in value.values() for entry in estimates_in(item)]
        if {"value", "low", "high"} <= set(value):
            found.append([value["value"], value["low"], value["high"]])
        for name in ("sensitivity", "specificity"):
            if f"{name}_interval" in value:
                found.append([value[name], *value[f"{name}_interval"]])
        return found
    if isinstance(value, list):
        if len(value) == 3 and all(isinstance(item, float) for item in value):
            return [value]
        return [entry for item in value for entry in estimates_in(item)]
    return []


@pytest.mark.parametrize("form", ["README.md", "card.html"])
def test_no_figure_is_typed_by_hand(package: Path, form: str) -> None:
    """Each figure in the words and tables of a card is one of the documents, rounded; the card's own words hold few."""
    text = (package / "docs" / form).read_text()
    words = " ".join(Page(text).words) if form == "card.html" else text
    words = without_commas(words)
    description = json.loads((package / "candor.json").read_text())
    known = numbers_in([*documents_of(package).values(), description])
    keys = re.findall(r'"([^"]*\d[^"]*)":', json.dumps(documents_of(package)))  # "age=40-64", "float32", "512"
    known |= numbers_in(keys) | {95.0, 512.0, 1.0, 11.0}  # the card's own words: 95 %, 512 px, 1 - specificity
    rounded = {f"{number:.{digits}f}" for number in known for digits in range(8)} | {f"{n:.1e}" for n in known}
    rounded |= {f"{number:.2g}" for number in known} | {f"{number:g}" for number in known}
    wanted = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e-\d+)?(?![\w])", re.sub(r"`[0-9a-f]{64}`", "", words)))
    assert len(wanted) > 200
    assert {token for token in wanted if token not in rounded} == set()
    whole = {shown(estimate, digits) for estimate in estimates_in(documents_of(package)) for digits in (2, 3)}
    intervals = set(re.findall(r"\d\.\d+ \[\d\.\d+, \d\.\d+\]", words))
    assert len(intervals) > 150
    assert intervals - whole == set()


def test_a_section_is_there_only_when_its_document_is(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "docs" / "explanation.json").unlink()
    markdown, page = write_card(folder)
    for text in (markdown.read_text(), page.read_text()):
        assert "bright_patch 1.0.0" in text
        assert "Tests only: finds patches brighter than three quarters of white." in text
        assert not any(heading in text for heading in HEADING.values())


def test_an_evaluation_of_other_weights_makes_no_card(package: Path, tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "evaluation.json").write_bytes((SHIPPED / "docs" / "evaluation.json").read_bytes())
    with pytest.raises(ConfigurationError, match="of other weights"):
        write_card(folder)
    (folder / "docs" / "evaluation.json").write_text('{"shipped": [1]}')
    with pytest.raises(ConfigurationError, match=r"evaluation\.json is not an evaluation: model is missing"):
        write_card(folder)


def test_maps_judged_with_other_weights_are_called_withheld(package: Path) -> None:
    material = read_material(package)
    assert "other weights" not in markdown_of(material)
    material = replace(material, explanation=material.explanation.model_copy(update={"sha256": "0" * 64}))
    assert "maps of this version are withheld" in markdown_of(material)
    assert "maps of this version are withheld" in html_of(material)


def test_the_shipped_card_is_what_its_documents_say() -> None:
    material = read_material(SHIPPED)
    package = load_package(SHIPPED)
    assert material.evaluation.shipped == tuple(finding.name for finding in package.model.findings)
    assert (SHIPPED / "docs" / "README.md").read_text(encoding="utf-8") == markdown_of(material)
    assert (SHIPPED / "docs" / "card.html").read_text(encoding="utf-8") == html_of(material)
