"""`candor config check`: whether the service would start with these settings, without starting it.

Looks at what the settings name: the key, the database, certificates, addresses, folders, the site's own files. What is
wrong with the text of candor.toml itself is said before, when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from api.processes.addresses import is_loopback, why_not_ours
from api.processes.warnings import tls_tables
from core.errors import CandorError, ConfigurationError
from core.settings import SETTINGS_FILE, Settings
from core.settings.destinations import FolderDestination
from core.store.engine import check_database
from core.store.keys import SiteKey
from core.store.store import refuse_unwritable
from dicom_node.network.tls import faults_of
from fairness.cohorts import load_definition
from fairness.policy import load_policy
from pipeline.carriers import carrier_for, tls_files
from pipeline.watch.cohort_lines import cohorts_file
from pipeline.watch.drift import policy_file


def check(settings: Settings) -> str:
    """One sentence when the service would start; ConfigurationError with a line for each thing that is wrong."""
    faults = list(_faults(settings))
    if faults:
        raise ConfigurationError("\n".join(faults))
    changed = len(settings.model_fields_set - {"data_dir"})
    differ = "setting differs" if changed == 1 else "settings differ"
    names = ", ".join(destination.name for destination in settings.destinations) or "none"
    return f"{settings.data_dir / SETTINGS_FILE} is right: {changed} {differ} from the default; destinations: {names}"


def _faults(settings: Settings) -> Iterator[str]:
    for what in _what_is_named(settings):
        try:
            what()
        except CandorError as error:
            yield str(error)
    why = why_not_ours(settings.host)
    if why is not None:
        yield f"host: {why}"
    if not is_loopback(settings.web_host):
        yield f"web_host: other machines can reach {settings.web_host}, and there are no accounts yet; set 127.0.0.1"
    for owner, tls in tls_tables(settings):
        yield from (f"{owner}: {fault}" for fault in faults_of(tls_files(tls)))


def _what_is_named(settings: Settings) -> Iterator[Callable[[], object]]:
    """Each thing that the settings name, as something that raises when it cannot be used."""
    yield lambda: refuse_unwritable(settings)
    yield lambda: _open_databases(settings)
    yield lambda: load_definition(cohorts_file(settings))
    yield lambda: load_policy(policy_file(settings))
    for destination in settings.destinations:
        if isinstance(destination, FolderDestination):
            yield carrier_for(destination, settings).check


def _open_databases(settings: Settings) -> None:
    key = SiteKey.load(settings.site_key_file)
    for url in dict.fromkeys((settings.store_url, settings.workflow_url)):
        check_database(url, key)
