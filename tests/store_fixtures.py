"""A real, encrypted store in a temporary folder, with a clock that tests move."""

from __future__ import annotations

from pathlib import Path

from core.clock import SettableClock
from core.domain.study import Instance, Patient
from core.settings import Settings
from core.store.keys import SiteKey
from core.store.store import Store, open_store
from core.store.studies.arrivals import Arrival, InstanceRole


def make_store(folder: Path, clock: SettableClock) -> Store:
    """A new store below `folder`."""
    (folder / "data").mkdir()
    settings = store_settings(folder, minimum_free_bytes=0)
    SiteKey.create(settings.site_key_file)
    return open_store(settings, now=clock)


def store_settings(folder: Path, *, minimum_free_bytes: int) -> Settings:
    """The settings of the store below `folder`."""
    return Settings(data_dir=folder / "data", minimum_free_bytes=minimum_free_bytes)


def arrival(study: str, instance: str, **changes: object) -> Arrival:
    """An image of a study; `changes` go into the arrival."""
    header = Instance(
        sop_instance_uid=f"1.2.{study}.{instance}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        series_instance_uid=f"1.2.{study}.0",
        study_instance_uid=f"1.2.{study}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="DX",
        rows=64,
        columns=64,
    )
    values: dict[str, object] = {
        "instance": header,
        "patient": Patient(patient_id="P1", patient_name="Canary^Name"),
        "accession_number": "A1",
        "study_date": None,
        "expected_instances": None,
        "association_id": "a1",
        "calling_ae_title": "MODALITY",
        "role": InstanceRole.SOURCE,
        "part10": f"bytes of {study} {instance}".encode(),
    }
    return Arrival(**{**values, **changes})  # type: ignore[arg-type]
