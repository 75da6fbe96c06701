"""The models of this installation: those that ship with Candor, and those that the site registered.

Nothing runs that cannot be proved. A shipped package must be, file by file, what `models/shipped.json` says, which
comes with the code; a registered one what its signed record says. A package that does not verify never stops the
service: `load_registry` leaves it out and says why, so that the command line, the log and the operator can name it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.registration import ModelState, Registration, SignedRegistration, is_authentic
from core.errors import CandorError, ConfigurationError, IntegrityError
from models.package.contents import differences, files_of
from models.package.format import DESCRIPTION, ModelPackage, load_package, read_description
from models.package.shipped import ZOO, pinned_files

__all__ = ["ZOO", "Entry", "Records", "Refused", "Registry", "installed_packages", "load_registry"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A package that was not loaded, and why; `name` and `version` as far as they are known."""

    folder: Path
    reason: CandorError
    name: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A verified package with what it is for; `registration` is None for a shipped one in its first state."""

    package: ModelPackage
    state: ModelState
    registration: Registration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What the site knows of its models: signed records, the public key they are checked with, and its policy."""

    models_folder: Path | None = None
    kept: Sequence[SignedRegistration] = ()
    public_key: bytes = b""
    trusted_keys: Collection[str] = ()
    require_signature: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """The verified versions, those asked first coming first, and the packages refused."""

    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def packages(self) -> tuple[ModelPackage, ...]:
        """What is live: selected for studies, and reported."""
        return self._in(ModelState.LIVE)

    @property
    def shadows(self) -> tuple[ModelPackage, ...]:
        """What runs as a shadow and is never reported."""
        return self._in(ModelState.SHADOW)

    def find(self, name: str, version: str | None = None) -> ModelPackage:
        """The package of that name, and version if given; raises ConfigurationError when there is none."""
        return self.entry(name, version).package

    def entry(self, name: str, version: str | None = None) -> Entry:
        """The entry of that name and version; without a version the live one, else any."""
        mine = [entry for entry in self.entries if entry.package.model.name == name]
        mine = [entry for entry in mine if version in (None, entry.package.model.version)]
        if mine:
            return min(mine, key=lambda entry: entry.state is not ModelState.LIVE)
        known = ", ".join(f"{e.package.model.name} {e.package.model.version}" for e in self.entries) or "none"
        raise ConfigurationError(
            f"no model {f'{name} {version}' if version else name} is installed; installed: {known}"
        )

    def _in(self, state: ModelState) -> tuple[ModelPackage, ...]:
        return tuple(entry.package for entry in self.entries if entry.state is state)


def load_registry(records: Records | None = None) -> Registry:
    """Verify every package of the site and the zoo; the site's come first, so that they are asked first.

    Without `records` only the zoo: what a command knows that has no data folder.
    """
    records = records or Records()
    entries: list[Entry] = []
    refused: list[Refused] = []
    by_title = {record.title: record for record in records.kept}
    site = [r for r in records.kept if r.registration is None or r.registration.origin == "site"]
    for record in site:
        name, _, version = record.title.partition(" ")
        folder = (records.models_folder or ZOO) / name / version
        if _is_over(record) and not folder.exists():
            continue  # the record stays; nothing asks for the files any more
        try:
            entries.append(_site_entry(folder, record, records))
        except CandorError as reason:
            refused.append(Refused(folder, reason, name, version))
    refused += [Refused(folder, _not_registered(folder)) for folder in unregistered(records)]
    live = {entry.package.model.name for entry in entries if entry.state is ModelState.LIVE}
    for folder in packages_in(ZOO):
        try:
            entries.append(_shipped_entry(folder, by_title, records, live))
        except CandorError as reason:
            refused.append(Refused(folder, reason, folder.name))
    return Registry(tuple(entries), tuple(refused))


def installed_packages() -> tuple[ModelPackage, ...]:
    """Every shipped package, verified, where one that does not verify is an error."""
    registry = load_registry()
    for refused in registry.refused:
        raise refused.reason
    return registry.packages


def unregistered(records: Records) -> list[Path]:
    """Folders of packages in the models folder that no record speaks of."""
    if records.models_folder is None:
        return []
    known = {records.models_folder / Path(*record.title.split(" ", 1)) for record in records.kept}
    return [folder for folder in packages_in(records.models_folder) if folder not in known]


def has_live(records: Records) -> bool:
    """Whether any version is live by its record, or ships and has none; no file is verified."""
    states = {record.title: record.registration.state for record in records.kept if record.registration}
    if ModelState.LIVE in states.values():
        return True
    shipped = (read_description(folder) for folder in packages_in(ZOO))
    return any(f"{each.name} {each.version}" not in states for each in shipped)


def load_registered(folder: Path, registration: Registration, records: Records) -> ModelPackage:
    """Load a package and hold it against its record; IntegrityError names the first thing that differs."""
    changed = differences(registration.files, files_of(folder))
    wrong = f"{registration.title} is not what was registered ({changed[0]})" if changed else ""
    try:
        package = load_package(folder, records.trusted_keys, called=registration.title)
    except CandorError as error:
        raise IntegrityError(f"{wrong}: {error}" if wrong else str(error)) from error
    if wrong:
        raise IntegrityError(f"{wrong}; register it again")
    return package


def _site_entry(folder: Path, record: SignedRegistration, records: Records) -> Entry:
    registration = _authentic(record, records)
    if not folder.is_dir():
        raise ConfigurationError(f"the files of {record.title} are gone; register the package again")
    package = load_registered(folder, registration, records)
    if records.require_signature and not package.signed_by:
        raise IntegrityError(f"{record.title} is not signed by its maker, and require_model_signature is true")
    package = replace(package, maps_withheld=_withheld(registration))
    return _entry(package, registration)


def _entry(package: ModelPackage, registration: Registration) -> Entry:
    signed = replace(package, is_second_reader=bool(registration.second_reader_signed_by))
    return Entry(signed, registration.state, registration)


def _withheld(registration: Registration) -> str | None:
    """Why the gate that the site ran withholds the maps, "" when it does not; None when it ran none.

    A record from before says "passed" where no image was of a patient; such maps are withheld by it all the same.
    """
    gate = registration.gates.get("explanation")
    if gate is None or not gate.made_here:
        return None
    found = (gate.document.model_extra or {}) if gate.document else {}
    if found.get("weaker") and not found.get("failed"):
        return "this model's maps were not judged, because the map gate was run without images of patients"
    return "" if gate.passed else f"this model's explanations failed the gate here: {'; '.join(gate.reasons)}"


def _is_over(record: SignedRegistration) -> bool:
    return record.registration is not None and record.registration.state is ModelState.RETIRED


def _shipped_entry(
    folder: Path, by_title: dict[str, SignedRegistration], records: Records, live: Collection[str]
) -> Entry:
    """A shipped version is live unless somebody said otherwise, or a version of the site's has its name."""
    package = load_package(folder, records.trusted_keys)
    if changed := differences(pinned_files(folder.name), package.files):
        raise IntegrityError(
            f"{folder.name} is not what Candor ships ({changed[0]}); install Candor again, or, if you changed it "
            f"yourself: candor models card {folder} --pin"
        )
    record = by_title.get(f"{package.model.name} {package.model.version}")
    if record is not None:
        registration = _authentic(record, records)
        if registration.files != package.files:
            raise IntegrityError(f"{registration.title} is registered with other bytes than Candor ships")
        return _entry(package, registration)
    return Entry(package, ModelState.RETIRED if package.model.name in live else ModelState.LIVE)


def _authentic(record: SignedRegistration, records: Records) -> Registration:
    if record.registration is None or not is_authentic(record, records.public_key):
        raise IntegrityError(f"the record of {record.title} was changed outside Candor; restore the database")
    return record.registration


def _not_registered(folder: Path) -> ConfigurationError:
    return ConfigurationError(f"{folder.name} is not registered; do it with: candor models register {folder}")


def packages_in(root: Path) -> list[Path]:
    """Folders with a description, directly below `root` or one level deeper (NAME/VERSION)."""
    found = [*root.glob(f"*/{DESCRIPTION}"), *root.glob(f"*/*/{DESCRIPTION}")]
    return sorted(path.parent for path in found if not path.parent.name.startswith("."))
