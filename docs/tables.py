"""Write the tables of the documents out of the code, so that they cannot drift: `python docs/tables.py`.

A document marks a place with `<!-- table: NAME -->` and `<!-- end -->`; what stands between them belongs to this
script. tests/architecture/test_docs.py fails when a table in a document is not what the code says.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from highdicom.sr import CodedConcept
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydicom.uid import UID

from api.cli.app import app
from api.cli.quality_tables import share
from api.web.app import create_app
from api.web.metrics import exposition
from core.destinations import DESTINATION_KINDS, Destination, TlsSettings
from core.domain.report import ObjectKind
from core.errors import ANSWERS
from core.settings import PREFIX, Settings
from core.states import TRANSITIONS
from core.store.store import Store, open_store
from dicom_node import sop_classes
from dicom_node.encode import concepts, shell
from dicom_node.status import STATUS_OF_REFUSAL
from explain.gate.result import read_result
from explain.maps.methods import METHODS
from models.package.format import load_package
from models.registry import ZOO
from pipeline.data_folder import make_data_folder

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "docs/dicom-conformance.md", "docs/explanations.md", "docs/operations.md"),
    "docs/quality-check.md",
    "docs/results.md",
    "docs/training.md",
)
_MARK = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Every table as Markdown, by name."""
    makers: dict[str, Callable[[], str]] = {
        "commands": _commands,
        "settings": lambda: _settings(Settings, with_environment=True),
        "destination-settings": _destination_settings,
        "tls-settings": lambda: _settings(TlsSettings),
        "errors": _errors,
        "states": _states,
        "image-sop-classes": lambda: _uids(sop_classes.IMAGE_SOP_CLASSES),
        "filed-sop-classes": lambda: _uids(sop_classes.FILED_SOP_CLASSES),
        "result-sop-classes": lambda: _uids(sop_classes.RESULT_SOP_CLASSES),
        "transfer-syntaxes": _transfer_syntaxes,
        "result-series": _result_series,
        "private-codes": _private_codes,
        "false-refusals": _false_refusals,
        "caught": _caught,
        "explanation-methods": _explanation_methods,
        "explanation-gate": _explanation_gate,
        "explanation-comparison": _explanation_comparison,
        "learning-curve": _learning_curve,
        "variants": _variants,
    }
    return {**{name: make() for name, make in makers.items()}, **_tables_of_a_running_house()}


def filled(text: str, found: dict[str, str]) -> str:
    """The text of a document with its tables as they should be; KeyError for a table that nobody makes."""
    return _MARK.sub(lambda match: match[1] + found[match[2]] + match[3], text)


def main() -> None:
    """Rewrite the tables of every document."""
    found = tables()
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(filled(path.read_text(encoding="utf-8"), found), encoding="utf-8")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def _gate_figures() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((ZOO / "chest_radiograph" / "docs" / "quality.json").read_text("utf-8"))
    return figures


def _false_refusals() -> str:
    rows = [
        (f"{tier} px", cohort, str(row["images"]), share(row["share"]))
        for tier, cohorts in _gate_figures()["false_refusals"].items()
        for cohort, row in cohorts.items()
    ]
    return _table(("images of", "test adults", "images", "refused wrongly"), rows)


def _caught() -> str:
    rows = [
        (row["fault"], row["how"], row["source"], str(row["images"]), share(row["caught"]), share(row["named"]))
        for row in _gate_figures()["caught"]
    ]
    return _table(("fault", "how", "made from", "images", "caught", "caught by its name"), rows)


def _ablation() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "ablation.json").read_text(encoding="utf-8"))
    return found


def _learning_curve() -> str:
    """AUROC on validation patients by share of the training patients."""
    curve = sorted(_ablation()["learning_curve"].items(), key=lambda item: item[1]["images"])
    findings = list(curve[0][1]["auroc"])
    rows = [
        [share, f"{figures['images']:,}"]
        + [_with_interval(figures["auroc"][finding]) for finding in findings]
        + [_with_interval(figures["times_chance"], digits=1)]
        for share, figures in curve
    ]
    return _table(["patients", "images", *findings, "maps: times chance"], rows)


def _variants() -> str:
    """AUROC of each variant minus that of the recipe, on the same validation images."""
    variants = _ablation()["variants"]
    findings = list(next(iter(variants.values()))["auroc"])
    rows = [
        [name]
        + [_with_interval(figures["auroc_minus_that_of_the_recipe"][finding], sign="+") for finding in findings]
        + [_with_interval(figures["times_chance"], digits=1)]
        for name, figures in variants.items()
    ]
    return _table(["variant", *findings, "maps: times chance"], rows)


def _with_interval(figure: Sequence[float], *, digits: int = 3, sign: str = "") -> str:
    value, low, high = (f"{part:{sign}.{digits}f}" for part in figure)
    return f"{value} [{low}, {high}]"


def _commands() -> str:
    rows = [(f"`{name}{_usage(command)}`", str(command.help)) for name, command in _each_command("candor")]
    return _table(("command", "what it does"), rows)


def _each_command(name: str, group: Any = None) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, those of groups too."""
    group = group or typer.main.get_command(app)
    for key, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _each_command(f"{name} {key}", command)
        elif not command.hidden:
            yield f"{name} {key}", command


def _usage(command: Any) -> str:
    """Arguments and options as one would type them, optional ones in brackets; `--data DIR` is everywhere."""
    return "".join(_parts(command))


def _parts(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name in ("data", "help"):
            continue
        if parameter.param_type_name == "argument":
            yield f" {parameter.metavar or parameter.human_readable_name}"
            continue
        value = "" if parameter.is_flag else f" {_value_of(parameter)}"
        yield f" {parameter.opts[0]}{value}" if parameter.required else f" [{parameter.opts[0]}{value}]"


def _value_of(parameter: Any) -> str:
    """What stands for the value: the option's own word, else one by its kind."""
    by_name = {"objects": "LIST", "name": "NAME"}
    return str(by_name.get(parameter.name) or parameter.metavar or "DIR")


def _settings(model: type[BaseModel], *, with_environment: bool = False) -> str:
    columns = ("setting", *(("environment",) if with_environment else ()), "default", "meaning")
    rows = []
    for name, field in model.model_fields.items():
        variable = "CANDOR_DATA" if name == "data_dir" else PREFIX + name.upper()
        environment = (f"`{variable}`",) if with_environment else ()
        rows.append((f"`{name}`", *environment, _default(field), str(field.description)))
    return _table(columns, rows)


def _destination_settings() -> str:
    """What every kind of destination has, then what each has besides."""
    of_every_kind = Destination.model_fields
    rows = [("every", f"`{name}`", _default(field), str(field.description)) for name, field in of_every_kind.items()]
    for kind in DESTINATION_KINDS:
        rows += [
            (kind.model_fields["kind"].default, f"`{name}`", _default(field), str(field.description))
            for name, field in kind.model_fields.items()
            if name not in of_every_kind
        ]
    return _table(("kind", "setting", "default", "meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if isinstance(value, tuple):
        value = [str(item) for item in value]
    return "not set" if value is None else f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`"


def _errors() -> str:
    rows = [
        (
            f"`{error.__name__}`",
            str(error.__doc__).splitlines()[0],
            f"0x{STATUS_OF_REFUSAL[answer.refusal]:04X}",
            "yes" if answer.retry else "no",
            str(answer.http_status),
            str(answer.exit_code),
        )
        for error, answer in ANSWERS.items()
    ]
    return _table(("error", "meaning", "DIMSE status", "tried again", "HTTP", "exit code"), rows)


def _states() -> str:
    rows = [
        (f"`{state}`", ", ".join(sorted(f"`{after}`" for after in allowed))) for state, allowed in TRANSITIONS.items()
    ]
    return _table(("state", "may become"), rows)


def _uids(found: Iterable[UID]) -> str:
    return _table(("SOP class", "UID"), sorted((uid.name, f"`{uid}`") for uid in found))


def _transfer_syntaxes() -> str:
    known = [*sop_classes.UNCOMPRESSED, *sop_classes.COMPRESSED]
    return _table(("transfer syntax", "UID"), [(uid.name, f"`{uid}`") for uid in known])


def _result_series() -> str:
    rows = [
        (f"`{kind}`", modality, str(number), words)
        for kind in ObjectKind
        for number, modality, words in [shell._SERIES[kind]]
    ]
    return _table(("object", "Modality", "Series Number", "Series Description"), rows)


def _private_codes() -> str:
    found = [*vars(concepts).values(), *(concept for concept, _ in concepts.FAITHFULNESS.values())]
    ours = {code.value: code.meaning for code in found if _is_private(code)}
    return _table(("code value", "code meaning"), sorted((f"`{value}`", meaning) for value, meaning in ours.items()))


def _explanation_methods() -> str:
    rows = [
        (
            f"{method.words} (`{method.name}`)",
            f"{method.code.value} {method.code.meaning}",
            method.needs,
            ", ".join(f"{name} {value}" for name, value in method.parameters.items()) or "-",
            "yes" if method.claims_planted_lesion else f"no: {method.why}",
            method.reference,
        )
        for method in METHODS.values()
    ]
    return _table(("method", "DICOM code", "needs", "parameters", "planted lesion", "source"), rows)


def _explanation() -> dict[str, Any]:
    """The gate's result of the shipped chest model, {} when it has none for its weights."""
    package = load_package(ZOO / "chest_radiograph")
    found = read_result(package) or {}
    return found if found.get("sha256") == package.model.sha256 else {}


def _explanation_gate() -> str:
    found = _explanation()
    ends = {True: "passed", False: "failed", None: "not made"}
    rows = [(test["name"], ends[test["passed"]], test["words"]) for test in found.get("tests", ())]
    told = f"{found['model']} {found['version']}, on {found['images']}" if found else "not run for these weights"
    return _table(("test", "result", told), rows)


def _explanation_comparison() -> str:
    found = _explanation().get("comparison", {})
    rows = [
        (
            METHODS[row["method"]].words,
            ", ".join(f"{name} {value}" for name, value in row["parameters"].items()) or "-",
            str(row["forward_passes"]),
            *(_estimate(row[key], row["chance"][key]) for key in ("pointing", "auprc", "iou")),
            f"{row['gain_per_pass']:.4f}",
        )
        for row in found.get("methods", ())
    ]
    told = f"on {found['images']} images of {found['patients']} patients" if found else "not measured for these weights"
    columns = (f"method, {told}", "parameters", "passes", "pointing game", "AUPRC", "IoU", "AUPRC gain per pass")
    return _table(columns, rows)


def _estimate(estimate: Sequence[float], chance: float) -> str:
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f} to {high:.3f}), chance {chance:.3f}"


def _is_private(found: object) -> bool:
    return isinstance(found, CodedConcept) and found.scheme_designator == concepts.PRIVATE_SCHEME


def _tables_of_a_running_house() -> dict[str, str]:
    """What only an open store can tell: the metrics and the routes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = make_data_folder(Path(folder) / "data")
        store = open_store(settings)
        try:
            return {"metrics": _metrics(store, settings), "routes": _routes(store, settings)}
        finally:
            store.close()


def _metrics(store: Store, settings: Settings) -> str:
    text = exposition(store, settings).decode("utf-8")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    rows = [(f"`{name}`", kinds[name], words) for name, words in re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)]
    return _table(("metric", "kind", "meaning"), rows)


def _routes(store: Store, settings: Settings) -> str:
    routes: list[Any] = [route for route in create_app(store, settings).routes if hasattr(route, "dependencies")]
    rows = [
        (f"`{_method(route)}{route.path}`", f"`{_permission(route)}`", str(route.endpoint.__doc__).splitlines()[0])
        for route in routes
    ]
    return _table(("route", "permission", "what it tells"), rows)


def _method(route: Any) -> str:
    """What is not a GET says so."""
    return "".join(f"{method} " for method in sorted(route.methods - {"GET", "HEAD"}))


def _permission(route: Any) -> str:
    return ", ".join(str(depends.dependency.permission) for depends in route.dependencies)


if __name__ == "__main__":
    main()
