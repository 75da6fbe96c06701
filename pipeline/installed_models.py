"""The registry as this installation has it: the packages on disk, checked against the records in the database."""

from __future__ import annotations

from core.settings import Settings
from core.store.store import Store
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
    """Every version, verified now, and the packages refused."""
    return load_registry(records_of(settings, store))
