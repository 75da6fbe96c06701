"""`candor init`: the data folder, the site key next to it, and a candor.toml that explains itself.

The file is generated from the fields of `Settings`, each at its default and commented out, so that it cannot drift
from the code, and so that an update with better defaults reaches every installation that never changed them.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.errors import CandorError, ConfigurationError
from core.files import disk_shortage, free_bytes, make_private_folder, write_durably
from core.settings import SETTINGS_FILE, Settings, load_settings
from core.settings.destinations import DESTINATION_KINDS, TlsSettings
from core.store.keys import SiteKey
from core.store.store import open_store

_TABLES: dict[str, tuple[type[BaseModel], ...]] = {"tls": (TlsSettings,), "destinations": DESTINATION_KINDS}
_INTRODUCTION = """\
# The settings of this Candor installation. Every setting is listed with its default: remove the "#" to change one.
# The environment wins over this file: CANDOR_PORT=104 sets port. An unknown name stops the start.
"""


def make_data_folder(data_dir: Path, changes: Mapping[str, Any] | None = None) -> Settings:
    """Make folder (mode 0700), settings file, site key and database; ConfigurationError when there is one already.

    `changes`: settings that differ from the default. A folder that is there must be empty.
    """
    _refuse_existing(data_dir)
    text = settings_file(changes or {})
    try:
        make_private_folder(data_dir)
        data_dir.chmod(0o700)
        write_durably(data_dir / SETTINGS_FILE, text.encode())
    except OSError as error:
        raise ConfigurationError(f"{data_dir} cannot be made ({error.strerror}); choose another --data") from error
    try:
        settings = load_settings(data_dir)
        _make_key(settings)
        open_store(settings).close()
    except CandorError:
        (data_dir / SETTINGS_FILE).unlink()  # so that `init` can be tried again
        raise
    return settings


def settings_file(changes: Mapping[str, Any]) -> str:
    """The text of candor.toml; what `changes` names is set, everything else is commented out at its default."""
    plain, tables = [], []
    for name, field in Settings.model_fields.items():
        if name in _TABLES:
            tables.append(_table(name, field, changes.get(name)))
        elif name != "data_dir":
            plain.append("\n".join(_entry(name, field, changes)))
    return "\n".join([_INTRODUCTION, *plain, "", *tables])


def next_steps(settings: Settings) -> str:
    """What to do after `init`, for the person at the keyboard."""
    file = settings.data_dir / SETTINGS_FILE
    return f"""\
Made {settings.data_dir} and its key {settings.site_key_file}.
Keep a copy of the key in another safe place: without it nothing stored can be opened.
{_disk_warning(settings)}
To connect a PACS
  1. In the PACS, add a DICOM node: AE title {settings.ae_title}, this machine's address, port {settings.port}; let it
     forward chest radiographs there. To be reachable from other machines, set host in {file}.
  2. In {file}, say where the reports go:
       [[destinations]]
       name = "pacs"
       ae_title = "ORTHANC"
       host = "192.0.2.10"
       port = 4242
  3. candor config check --data {settings.data_dir} and candor echo pacs --data {settings.data_dir}
  4. candor serve --data {settings.data_dir}"""


def _disk_warning(settings: Settings) -> str:
    shortage = disk_shortage(free_bytes(settings.data_dir), settings.minimum_free_bytes)
    if shortage is None:
        return ""
    return f"\nNo image will be received there: {shortage}. Free some space, choose another disk, or lower it.\n"


def _refuse_existing(data_dir: Path) -> None:
    if (data_dir / SETTINGS_FILE).exists():
        raise ConfigurationError(
            f"{data_dir} is a Candor data folder already and was left as it is; start it with: "
            f"candor serve --data {data_dir}"
        )
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise ConfigurationError(f"{data_dir} is not an empty folder; choose another --data")


def _make_key(settings: Settings) -> None:
    """A new key, unless an administrator has put one in place (restored from a backup, or mounted as a secret)."""
    if settings.site_key_file.exists():
        SiteKey.load(settings.site_key_file)
    else:
        SiteKey.create(settings.site_key_file)


def _entry(name: str, field: FieldInfo, changes: Mapping[str, Any]) -> Iterator[str]:
    if field.description:
        yield f"# {field.description}"
    if name in changes:
        yield f"{name} = {_toml(changes[name])}"
    else:
        yield f"#{name} = {_default(field)}"


def _table(name: str, field: FieldInfo, value: Any) -> str:
    """A table ([tls]) or an array of tables ([[destinations]]): with its values, else an example of each kind."""
    header = f"[[{name}]]" if typing.get_origin(field.annotation) is tuple else f"[{name}]"
    rows = value if isinstance(value, list | tuple) else [value] if value else []
    if rows:
        return "\n".join(line for row in rows for line in [header, *_assignments(row), ""])
    examples = [line for kind in _TABLES[name] for line in [f"#{header}", *_example(kind), ""]]
    return "\n".join([f"# {field.description}", *examples])


def _example(kind: type[BaseModel]) -> Iterator[str]:
    for key, entry in kind.model_fields.items():
        yield from _entry(key, entry, {})


def _assignments(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} = {_toml(value)}" for key, value in row.items())


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default is None:
        return f"  # {'must be given' if field.is_required() else 'not set'}: {_kind(field.annotation)}"
    return _toml(field.default)


def _kind(annotation: Any) -> str:
    """What to write, in a word."""
    if isinstance(annotation, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not types.NoneType)
    if annotation is Path:
        return "a path in quotes"
    return "a table" if isinstance(annotation, type) and issubclass(annotation, BaseModel) else "text in quotes"


def _toml(value: Any) -> str:
    """A value in TOML; JSON's numbers, strings and lists are TOML's."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
