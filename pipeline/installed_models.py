"""The registry as this installation has it: the packages on disk, checked against the records in the database."""

from __future__ import annotations

from dataclasses import replace

from core.settings import Settings
from core.store.store import Store
from models.package.format import ModelPackage
from models.registry import Records, Registry, load_registry


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
