"""Registering a model package: verify it, copy it, run its checks, sign what was found, and let it in, or not.

The copy is what is verified and recorded, so that the original can change without consequence. Nothing is in the
models folder under its final name, and nothing in the database, until all of it is there and durable.
"""

from __future__ import annotations

import getpass
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from core.domain.registration import ModelState, Registration, SecondReader
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError, IntegrityError
from core.files import sync_folders
from core.settings import Settings
from core.store.store import Store
from fairness.policy import Level
from inference.select import takes_the_same
from models.package.contents import differences, files_of
from models.package.format import ModelPackage, load_package
from models.quality import QualityModel
from models.registry import Entry, load_registry
from models.runtimes.onnx import OnnxModel
from pipeline.installed_models import site_registry
from pipeline.registration.checks import Checks, reasons, run_checks, worst


def register(
    folder: Path,
    settings: Settings,
    store: Store,
    *,
    state: ModelState | None = None,
    data: Path | None = None,
    may_run_checks: bool = True,
    second_reader: SecondReader | None = None,
    instead_of_shipped: bool = False,
) -> Registration:
    """Take the package in `folder` into the registry of the site and return its record.

    `state`: live or shadow; by default shadow, so that it never begins to read for people by itself. Live together with
    another model that takes the same images needs the signature of a `second_reader`; `instead_of_shipped`: not when
    that one ships with Candor, in a run for which a person named this package. Registering the same bytes again changes
    nothing. `data`: a labelled set to run the gates on; without `may_run_checks` only what the maker found is read,
    signed or not.

    Raises IntegrityError when the package does not verify, or its name and version have other bytes already;
    ConfigurationError when it is incomplete, does not run, the site's policy blocks it, or `data` comes too late.
    """
    load_package(folder, settings.trusted_model_keys)  # before anything is copied
    with _copy_for_now(folder, settings) as copy:
        package = load_package(copy, settings.trusted_model_keys)
        if settings.require_model_signature and not package.signed_by:
            raise IntegrityError(f"{folder.name} is not signed by its maker, and require_model_signature is true")
        OnnxModel.load(package, threads=1)
        if package.quality:
            QualityModel.load(package.quality)
        state = state or ModelState.SHADOW
        first = _first_readers(package, settings, store, without_shipped=instead_of_shipped)
        if state is ModelState.LIVE:
            _require_signature(package, first, second_reader)
        is_second = bool(first)
        record = _signed(_record(package, state), second_reader if is_second else None)
        _refuse_other_bytes(record, store)
        if record.title in [kept.title for kept in store.models.records()]:  # the same bytes: judged before
            if data:
                raise ConfigurationError(
                    f"{record.title} is registered, and its checks were made then; --images is for a new version"
                )
            _move(copy, settings.models_folder / record.name / record.version, package)
            return store.models.add(record)
        checks = run_checks(package, settings, data, may_run=may_run_checks)
        record = _refuse_blocked(record, checks, store)
        _move(copy, settings.models_folder / record.name / record.version, package)
    return store.models.add(record)


def change_state(
    name: str,
    version: str,
    state: ModelState,
    settings: Settings,
    store: Store,
    *,
    second_reader: SecondReader | None = None,
    by: str = "",
    because: str = "",
) -> Registration:
    """Make a version live, shadow or retired; a shipped version gets its record now.

    `by` and `because`: who retires a version, or leaves the site without a live model, and why; both go into the trail.

    Raises ConfigurationError when there is no such version, when another live model takes the same images and no
    `second_reader` signed, or when a name or reason is missing; IntegrityError when it does not verify but is to run.
    """
    if state is ModelState.LIVE:
        package = site_registry(settings, store).find(name, version)
        _require_signature(package, _first_readers(package, settings, store), second_reader)
    known = [record.title for record in store.models.records()]
    if is_new := f"{name} {version}" not in known:
        load_registry().find(name, version)  # raises when it does not ship
    if state is not ModelState.LIVE and not (by.strip() and because.strip()):
        _refuse_without_reason(f"{name} {version}", state, settings, store)
    if is_new:
        entry = site_registry(settings, store).entry(name, version)
        store.models.add(_record(entry.package, entry.state, origin="shipped"))
    elif state is not ModelState.RETIRED:
        site_registry(settings, store).find(name, version)  # raises when it does not verify
    signed = f"signed by {by}, because {because}" if by and because else ""
    return store.models.change_state(name, version, state, account(), second_reader, signed=signed)


def account() -> str:
    """Who is at the keyboard, for the record: the account of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "unknown"


@contextmanager
def _copy_for_now(folder: Path, settings: Settings) -> Iterator[Path]:
    """A durable copy under a temporary name in the models folder; what is left of it at the end is removed."""
    copy = settings.models_folder / f".incoming-{secrets.token_hex(8)}"
    try:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(folder, copy, symlinks=True)
        sync_folders(path for path in (copy, *copy.rglob("*")) if path.is_dir())
        yield copy
    except OSError as error:
        raise ConfigurationError(f"{settings.models_folder} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _move(copy: Path, target: Path, package: ModelPackage) -> None:
    """To the final name. What is there without a record, or no longer as recorded, is replaced."""
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        if not differences(package.files, files_of(target)):
            return
        shutil.rmtree(target)
    copy.rename(target)
    sync_folders([target.parent, target.parent.parent])


def _refuse_other_bytes(record: Registration, store: Store) -> None:
    for kept in store.models.records():
        if kept.title != record.title:
            continue
        if kept.registration is None:
            raise IntegrityError(f"the record of {kept.title} was changed outside Candor; restore the database")
        if kept.registration.files != record.files:
            raise IntegrityError(
                f"{record.title} is registered with other bytes; a version never changes: give this one another version"
            )
    for package in load_registry().packages:
        model = package.model
        if (model.name, model.version) == (record.name, record.version):
            raise ConfigurationError(f"{record.title} ships with Candor; there is nothing to register")


def _refuse_blocked(record: Registration, checks: Checks, store: Store) -> Registration:
    """The record with what the checks found; ConfigurationError, and a trail event, when they block it."""
    verdict = worst(checks)
    if verdict is Level.BLOCK:
        why = "; ".join(reasons(checks, Level.BLOCK))
        store.trail.record(
            TrailEvent(
                action="model.blocked", actor=account(), outcome="refused", subject=record.title[:64], reason=why
            )
        )
        raise ConfigurationError(f"{record.title} is not registered, because the policy blocks it: {why}")
    return replace(record, gates=checks, verdict=verdict.value)


def _first_readers(
    package: ModelPackage, settings: Settings, store: Store, *, without_shipped: bool = False
) -> list[str]:
    """The live models of other names that take what `package` takes; none for the next version of what reads now."""
    live = [entry for entry in site_registry(settings, store).entries if entry.state is ModelState.LIVE]
    if any(e.package.model.name == package.model.name and not e.package.is_second_reader for e in live):
        return []
    return [
        _title(entry.package)
        for entry in live
        if entry.package.model.name != package.model.name
        and takes_the_same(entry.package.accepts, package.accepts)
        and not (without_shipped and _is_shipped(entry))
    ]


def _is_shipped(entry: Entry) -> bool:
    return entry.registration is None or entry.registration.origin == "shipped"


def _require_signature(package: ModelPackage, first: Sequence[str], second_reader: SecondReader | None) -> None:
    if second_reader is None and first:
        title = _title(package)
        raise ConfigurationError(
            f"{title} takes images that {first[0]} reads; for both to read them, sign it: "
            f'candor models live {title} --as NAME --because "..."; for this one alone, retire the other first: '
            f'candor models retire {first[0]} --as NAME --because "..."'
        )


def _refuse_without_reason(title: str, state: ModelState, settings: Settings, store: Store) -> None:
    """ConfigurationError where a person has to say why a version is retired, or why no model is live afterwards."""
    is_last = [_title(package) for package in site_registry(settings, store).packages] == [title]
    if is_last:
        why = f"{title} is the only live model: without it every study is refused"
    elif state is ModelState.RETIRED:
        why = f"{title} would not run any more"
    else:
        return
    command = "retire" if state is ModelState.RETIRED else "shadow"
    raise ConfigurationError(
        f'{why}; say who decides that and why: candor models {command} {title} --as NAME --because "..."'
    )


def _title(package: ModelPackage) -> str:
    return f"{package.model.name} {package.model.version}"


def _signed(record: Registration, second_reader: SecondReader | None) -> Registration:
    if second_reader is None:
        return record
    return replace(record, second_reader_signed_by=second_reader.by, second_reader_because=second_reader.because)


def _record(package: ModelPackage, state: ModelState, *, origin: str = "site") -> Registration:
    return Registration(
        name=package.model.name,
        version=package.model.version,
        sha256=package.model.sha256,
        files=package.files,
        origin="shipped" if origin == "shipped" else "site",
        state=state,
        signed_by=package.signed_by,
        registered_by=account(),
        state_changed_by=account(),
    )
