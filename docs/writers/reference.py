"""Tables of what can be typed, set, asked and answered: commands, settings, errors, states, routes, metrics."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from writers.markdown import table

from api.cli.app import app
from api.web.app import create_app
from api.web.metrics import exposition
from core.domain.states import TRANSITIONS
from core.errors import ANSWERS
from core.settings import Settings
from core.settings.destinations import DESTINATION_KINDS, Destination, TlsSettings
from core.settings.environment import PREFIX
from core.store.store import Store, open_store
from dicom_node.status import STATUS_OF_REFUSAL
from pipeline.data_folder import make_data_folder


def tables() -> dict[str, Callable[[], str]]:
    """What writes each table, by the table's name."""
    return {
        "commands": _commands,
        "settings": lambda: _settings(Settings, with_environment=True),
        "destination-settings": _destination_settings,
        "tls-settings": lambda: _settings(TlsSettings),
        "errors": _errors,
        "states": _states,
        "metrics": _metrics,
        "routes": _routes,
    }


def _commands() -> str:
    rows = [(f"`{name}{_usage(command)}`", str(command.help)) for name, command in _each_command("candor")]
    return table(("command", "what it does"), rows)


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
    """The placeholder of the value: the option's own word, else one by its kind."""
    by_name = {"objects": "LIST", "name": "NAME"}
    return str(by_name.get(parameter.name) or parameter.metavar or "DIR")


def _settings(model: type[BaseModel], *, with_environment: bool = False) -> str:
    columns = ("setting", *(("environment",) if with_environment else ()), "default", "meaning")
    rows = []
    for name, field in model.model_fields.items():
        variable = "CANDOR_DATA" if name == "data_dir" else PREFIX + name.upper()
        environment = (f"`{variable}`",) if with_environment else ()
        rows.append((f"`{name}`", *environment, _default(field), str(field.description)))
    return table(columns, rows)


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
    return table(("kind", "setting", "default", "meaning"), rows)


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
    return table(("error", "meaning", "DIMSE status", "tried again", "HTTP", "exit code"), rows)


def _states() -> str:
    rows = [
        (f"`{state}`", ", ".join(sorted(f"`{after}`" for after in allowed))) for state, allowed in TRANSITIONS.items()
    ]
    return table(("state", "may become"), rows)


@contextmanager
def _new_store() -> Iterator[tuple[Store, Settings]]:
    """An empty installation: metrics and routes are those of an open store."""
    with tempfile.TemporaryDirectory() as folder:
        settings = make_data_folder(Path(folder) / "data")
        store = open_store(settings)
        try:
            yield store, settings
        finally:
            store.close()


def _metrics() -> str:
    with _new_store() as (store, settings):
        text = exposition(store, settings).decode("utf-8")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    rows = [(f"`{name}`", kinds[name], words) for name, words in re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)]
    return table(("metric", "kind", "meaning"), rows)


def _routes() -> str:
    with _new_store() as (store, settings):
        routes: list[Any] = [route for route in create_app(store, settings).routes if hasattr(route, "dependencies")]
    rows = [
        (f"`{_method(route)}{route.path}`", f"`{_permission(route)}`", str(route.endpoint.__doc__).splitlines()[0])
        for route in routes
    ]
    return table(("route", "permission", "answer"), rows)


def _method(route: Any) -> str:
    """What is not a GET says so."""
    return "".join(f"{method} " for method in sorted(route.methods - {"GET", "HEAD"}))


def _permission(route: Any) -> str:
    return ", ".join(str(depends.dependency.permission) for depends in route.dependencies)
