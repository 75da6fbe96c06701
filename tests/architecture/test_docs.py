"""The documents say what the code does: every setting, command, figure and link in them is held against it."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from core.domain.input import ModelInput
from core.domain.report import ObjectKind, ReportStatus
from core.settings import DestinationSettings, Settings, TlsSettings
from core.states import TRANSITIONS
from datasets.demo.studies import demo_studies
from dicom_node.pixels.decode import decode
from inference.run import infer
from models.registry import installed_packages
from models.runtimes.onnx import OnnxModel
from pipeline.results_json import NotMadeEntry, ObjectEntry, StudyEntry
from tests.contract.encode_cases import cases
from tests.unit.inference.test_select import image

WHAT = ModelInput.of(image())
ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/**/*.md")]
    if ".venv" not in path.parts
)
OPERATIONS = ROOT / "docs" / "operations.md"
RESULTS = ROOT / "docs" / "results.md"
CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4}\S[^\n]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "docs" / "tables.py"))


@pytest.fixture(scope="module")
def tables(script):
    return script["tables"]()


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def code_in(text):
    return "\n".join(CODE.findall(text))


def targets_of_makefile():
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def test_the_tables_are_what_the_code_says(script, tables):
    wrong = [name for name in script["DOCUMENTS"] if script["filled"](read(name), tables) != read(name)]
    assert wrong == [], "run: python docs/tables.py"


def test_every_table_stands_in_a_document(script, tables):
    marks = "".join(read(name) for name in script["DOCUMENTS"])
    assert [name for name in tables if f"<!-- table: {name} -->" not in marks] == []


def test_a_table_that_drifted_is_noticed(script, tables):
    text = read("docs/operations.md").replace("`CANDOR_PORT`", "`CANDOR_PROT`")
    assert script["filled"](text, tables) != text


def test_every_command_is_in_the_readme_and_in_the_operations_guide(tables):
    commands = re.findall(r"`candor (\w+(?: [a-z]\S*)?)", tables["commands"])  # those of a group too
    assert len(commands) == len(set(commands)) > 5
    for name in ("README.md", "docs/operations.md"):
        assert [command for command in commands if f"`candor {command}" not in read(name)] == []


@pytest.mark.parametrize("settings", [Settings, DestinationSettings, TlsSettings])
def test_every_setting_is_in_the_operations_guide(settings):
    text = OPERATIONS.read_text(encoding="utf-8")
    assert [name for name in settings.model_fields if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_name_only_make_targets_commands_and_modules_that_exist(path, tables):
    code = code_in(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"(?<![\w-])make ([a-z]+)\b", code))
    commands = set(re.findall(r"(?:^|[`\s/])candor ([a-z]+)\b", code))
    known = set(re.findall(r"`candor (\w+)", tables["commands"]))
    assert targets - targets_of_makefile() == set()
    assert commands - known == set()
    modules = re.findall(r"python -m ([\w.]+)", code)
    places = [ROOT / module.replace(".", "/") for module in modules]
    assert [str(place) for place in places if not place.with_suffix(".py").exists() and not place.is_dir()] == []


def anchors_of(path):
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    broken = []
    for link in (first or second for first, second in LINK.findall(path.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = path if not name else (path.parent / name).resolve()
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_a_text_names_exists(path):
    named = set(re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8")))
    tests = "".join(test.read_text(encoding="utf-8") for test in ROOT.glob("tests/**/test_*.py"))
    assert {name for name in named if f"def {name}(" not in tests} == set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_ours_that_a_text_names_exists(path):
    if path.name == "CHANGELOG.md":
        return  # it speaks of the past too
    rooms = "core|models|dicom_node|inference|explain|fairness|ehr|pipeline|api|datasets|tests|docs"
    named = set(re.findall(rf"`((?:{rooms})/[\w./-]*)`", path.read_text(encoding="utf-8")))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_changelog_knows_this_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    newest = re.search(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1].startswith("[Unreleased]") or f"[{version}]" in newest[1]
    assert f"Product: Candor {version}." in read("docs/dicom-conformance.md")


def test_every_decision_is_listed_once_and_in_order():
    folder = ROOT / "docs" / "decisions"
    files = sorted(path.name for path in folder.glob("0*.md"))
    listed = re.findall(r"^\d+\. \[(.+)\]\((0.+\.md)\)$", read("docs/decisions/README.md"), re.MULTILINE)
    assert [name for _, name in listed] == files
    for number, (title, name) in enumerate(listed, 1):
        assert (folder / name).read_text(encoding="utf-8").startswith(f"# {number}. {title}\n")


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values())) if value else set()
    return set().union(*map(keys_of, value)) if isinstance(value, list | tuple) else set()


def test_every_field_of_results_json_is_described():
    text = RESULTS.read_text(encoding="utf-8")
    reports = [case.report for case in cases()]
    assert {report.status for report in reports} >= {ReportStatus.REPORTED, ReportStatus.NOT_ANALYSED}
    fields = set()
    for report in reports:
        entry = StudyEntry.of(report, objects_not_made=(NotMadeEntry(kind="pmap", reason=""),))
        fields |= keys_of(entry.model_dump(mode="json"))
    fields |= set(ObjectEntry.model_fields)
    fields |= set(re.findall(r'^\s+"(\w+)": ', read("api/demo/analyze.py"), re.MULTILINE)) & {
        "studies",
        "rejected_files",
        "not_dicom_files",
    }
    assert "threshold" in fields
    assert {field for field in fields if f"`{field}`" not in text} == set()


def test_every_kind_of_object_and_every_status_is_described():
    text = RESULTS.read_text(encoding="utf-8").lower()
    assert [kind for kind in ObjectKind if kind.value.replace("-", " ") not in text] == []
    assert [status for status in ReportStatus if f"`{status}`" not in text] == []
    assert [state for state in TRANSITIONS if f"`{state}`" not in read("ARCHITECTURE.md")] == []


def printed_rows(text):
    """(study, finding, probability, threshold, result) of the demo's table as the README shows it."""
    study = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if len(cells) == 5 and re.fullmatch(r"\d\.\d{3}", cells[2]):
            study = cells[0] or study
            yield (study, cells[1], float(cells[2]), float(cells[3]), cells[4])


def test_the_readme_prints_what_the_shipped_model_says():
    """The README equals the program's output; after a new model or new demo studies, paste what `make demo` prints."""
    rows = list(printed_rows(read("README.md")))
    assert {study for study, *_ in rows} == {"normal", "opacity"}
    (package,) = installed_packages()
    model = OnnxModel.load(package, threads=1)
    said = {
        (study.path.stem, name): probability
        for study in demo_studies()
        if study.path.stem in ("normal", "opacity")
        for name, probability in infer(model, WHAT, [decode(study.path.read_bytes())]).probabilities.items()
    }
    points = {finding.name: finding.operating_point.threshold for finding in package.model.findings}
    assert len(rows) == len(said)
    for study, name, probability, threshold, result in rows:
        assert said[study, name] == pytest.approx(probability, abs=0.002)
        assert points[name] == pytest.approx(threshold, abs=0.0006)
        assert (result == "above") == (said[study, name] >= points[name])
