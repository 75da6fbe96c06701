"""The registry as this installation has it: the packages on disk, checked against the records in the database."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from core.domain.registration import ModelState
from core.settings import Settings
from core.store.store import Store
from inference.select import takes_the_same
from models.package.format import ModelPackage
from models.registry import Entry, Records, Registry, has_live, load_registry

NO_LIVE_MODEL = "no model is live, so every study is refused; make one live: candor models live NAME VERSION"


def records_of(settings: Settings, store: Store) -> Records:
    """What the registry needs to know of the site."""
    return Records(
        models_folder=settings.models_folder,
        kept=store.models.records(),
        public_key=store.models.public_key,
        trusted_keys=settings.trusted_model_keys,
        require_signature=settings.require_model_signature,
    )


def site_registry(settings: Settings, store: Store) -> Registry:
    """Every version, verified now, with what the site sets for all of them, and the packages refused."""
    registry = load_registry(records_of(settings, store))
    entries = (replace(entry, package=_as_set(entry.package, settings)) for entry in registry.entries)
    return replace(registry, entries=tuple(entries))


def _as_set(package: ModelPackage, settings: Settings) -> ModelPackage:
    listed = settings.body_part_words.items()
    words = {" ".join(word.upper().split()): part.upper() for part, words in listed for word in words}
    accepts = replace(package.accepts, body_part_words=words, maximum_pixels=settings.maximum_image_pixels)
    return replace(package, accepts=accepts)


def say_whether_any_is_live(settings: Settings, store: Store) -> str:
    """ "" where a model is live by the records, else the sentence that says what that means; no file is verified."""
    return "" if has_live(records_of(settings, store)) else NO_LIVE_MODEL


def model_warnings(settings: Settings, store: Store) -> tuple[str, ...]:
    """What a person should know of the live models: that there is none, or that one keeps another from reading."""
    live = [entry for entry in site_registry(settings, store).entries if entry.state is ModelState.LIVE]
    if not live:
        return (NO_LIVE_MODEL,)
    return tuple(
        f"{_title(first)} and {_title(second)} are live and take the same images; {_title(first)} alone reads them; "
        f'for both to read them: candor models live {_title(second)} --as NAME --because "..."; else retire one'
        for first, second in combinations(live, 2)
        if takes_the_same(first.package.accepts, second.package.accepts)
        and not (first.package.is_second_reader or second.package.is_second_reader)
    )


def _title(entry: Entry) -> str:
    return f"{entry.package.model.name} {entry.package.model.version}"
