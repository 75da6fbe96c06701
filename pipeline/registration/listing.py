"""What `candor models list`, `show` and `verify` say of each version, as JSON values."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.errors import CandorError, ConfigurationError
from core.store.store import Store
from models.package.format import CARD, ModelPackage
from models.registry import Entry, Refused, Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """What is said of one version. `proof`: what it was compared with; `error` says why a refused one is refused."""

    name: str
    version: str
    state: str
    sha256: str = ""
    origin: str = ""
    registered_at: str = ""
    verdict: str = ""
    signed_by: str = ""
    proof: str = ""
    error: str = ""


def list_versions(registry: Registry) -> list[VersionRow]:
    """One row for each version, verified now; `error` says why one is refused."""
    return [_row(entry) for entry in registry.entries] + [_refused(refused) for refused in registry.refused]


def verify_versions(registry: Registry, name: str | None) -> list[VersionRow]:
    """The rows of `name`, or of all, after each version that verifies was also run once.

    Raises ConfigurationError when there is nothing of that name.
    """
    rows = [_run(entry) for entry in registry.entries] + [_refused(refused) for refused in registry.refused]
    mine = [row for row in rows if name in (None, row.name)]
    if not mine:
        raise ConfigurationError(f"no model {name} is installed; candor models list says which are")
    return mine


def describe_version(entry: Entry, store: Store | None) -> dict[str, Any]:
    """Everything about one version: what it is, and the site's signed record with the key that it is checked with."""
    title = f"{entry.package.model.name} {entry.package.model.version}"
    record = next((kept for kept in store.models.records() if kept.title == title), None) if store else None
    accepts = {key: sorted(v) if isinstance(v, frozenset) else v for key, v in asdict(entry.package.accepts).items()}
    return {
        **asdict(_row(entry)),
        "manufacturer": entry.package.model.manufacturer,
        "device_uid": entry.package.model.device_uid,
        "intended_use": entry.package.model.intended_use,
        "not_for": list(entry.package.not_for),
        "accepts": accepts,
        "findings": [asdict(finding) for finding in entry.package.model.findings],
        "files": entry.package.files,
        "card": card_of(entry.package),
        "record": json.loads(record.text) if record else None,
        "record_signature": record.signature if record else None,
        "site_public_key": base64.b64encode(store.models.public_key).decode("ascii") if store else None,
    }


def proof_of(entry: Entry) -> str:
    """What the version was compared with."""
    if entry.registration is None:
        return f"{len(entry.package.files)} files as Candor ships them"
    maker = ", signed by its maker" if entry.package.signed_by else ""
    return f"{len(entry.package.files)} files as registered{maker}"


def card_of(package: ModelPackage) -> str:
    """The path of the card: as a page, else as text, "" when there is none."""
    places = [package.folder / CARD, package.card]
    return next((str(path) for path in places if path.relative_to(package.folder).as_posix() in package.files), "")


def _row(entry: Entry) -> VersionRow:
    model, registration = entry.package.model, entry.registration
    return VersionRow(
        name=model.name,
        version=model.version,
        state=entry.state.value,
        sha256=model.sha256,
        origin=registration.origin if registration else "shipped",
        registered_at=registration.registered_at if registration else "",
        verdict=registration.verdict if registration else "",
        signed_by=entry.package.signed_by,
        proof=proof_of(entry),
    )


def _refused(refused: Refused) -> VersionRow:
    name = refused.name or refused.folder.name
    return VersionRow(name=name, version=refused.version, state="refused", error=str(refused.reason))


def _run(entry: Entry) -> VersionRow:
    from models.runtimes.onnx import OnnxModel

    row = _row(entry)
    try:
        provider = OnnxModel.load(entry.package, threads=1).provider
    except CandorError as error:
        return replace(row, state="refused", error=str(error))
    return replace(row, proof=f"{row.proof}; runs on {provider}")
