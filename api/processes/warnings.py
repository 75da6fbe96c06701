"""What a person should know before the service runs: sentences about settings that are allowed, but seldom meant."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from api.processes.addresses import is_loopback
from core.clock import Clock, system_clock
from core.files import disk_shortage, free_bytes, owner_of
from core.settings import SETTINGS_FILE, Settings
from core.settings.destinations import DicomDestination, TlsSettings
from dicom_node.network.tls_files import validity_faults
from pipeline.watch.warnings import NO_DESTINATION

SOON_SECONDS = 30 * 24 * 3600.0
_OF_OTHERS = 0o077


def warnings_of(settings: Settings, *, now: Clock = system_clock) -> list[str]:
    """A sentence for each thing that is allowed and worth a look, the most serious first."""
    return [
        *_open_to_everybody(settings),
        *_readable_by_others(settings),
        *_short_disk(settings),
        *_no_destination(settings),
        *_certificates(settings, now()),
    ]


def _open_to_everybody(settings: Settings) -> Iterator[str]:
    tls_alone = settings.tls is not None and settings.tls.ca_file is not None and not settings.plain_listener
    listed = settings.allowed_addresses or settings.allowed_calling_ae_titles
    if not is_loopback(settings.host) and not listed and not tls_alone:
        yield (
            f"open to everybody: each machine that reaches {settings.host}:{settings.port} may send; set "
            "allowed_addresses or allowed_calling_ae_titles"
        )


def _readable_by_others(settings: Settings) -> Iterator[str]:
    for path, mode in ((settings.data_dir, 700), (settings.data_dir / SETTINGS_FILE, 600)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & _OF_OTHERS:
            yield f"other accounts may look into {path} of {owner_of(path)}; run: chmod {mode} {path}"


def _short_disk(settings: Settings) -> Iterator[str]:
    shortage = disk_shortage(free_bytes(settings.data_dir), settings.minimum_free_bytes)
    if shortage is not None:
        yield f"no image is received: {shortage}; make room with candor purge, or lower it"


def _no_destination(settings: Settings) -> Iterator[str]:
    if not settings.destinations:
        yield NO_DESTINATION


def _certificates(settings: Settings, at: float) -> Iterator[str]:
    for owner, tls in tls_tables(settings):
        yield from (f"{owner}: {fault}" for fault in _validity(tls, at))


def tls_tables(settings: Settings) -> Iterator[tuple[str, TlsSettings]]:
    """Each TLS table of the settings with the name of what it belongs to."""
    if settings.tls is not None:
        yield "[tls]", settings.tls
    for destination in settings.destinations:
        if isinstance(destination, DicomDestination) and destination.tls is not None:
            yield f"destination {destination.name}", destination.tls


def _validity(tls: TlsSettings, at: float) -> Iterator[str]:
    yield from validity_faults("certificate_file", tls.certificate_file, now=at, soon_seconds=SOON_SECONDS)
    if tls.ca_file is not None:
        yield from validity_faults("ca_file", tls.ca_file, now=at, soon_seconds=SOON_SECONDS)
