"""Every setting there is, read once in the composition root and passed down.

Sources, the first wins: environment (`CANDOR_PORT=104`, lists and tables as JSON), `candor.toml` in the data folder
(or what a caller passes), defaults. An unknown key, in the file or in the environment, stops the start: a typing error
must not silently leave a hospital with the default.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.backoff import Backoff
from core.errors import ConfigurationError
from core.settings.destinations import LOOPBACK, DestinationSettings, TlsSettings
from core.settings.environment import PREFIX, faults_of_environment, variable_of, without_variables
from core.settings.faults import SHOWN_FAULTS, quoted, sentence
from core.settings.file import Place, SettingsFile, read_settings_file
from core.settings.kinds import AeTitle, Count, Host, Network, Number, PublicKey, Seconds, Switch

SETTINGS_FILE = "candor.toml"
_STRUCTURED = ("allowed_calling_ae_titles", "allowed_addresses", "trusted_model_keys", "destinations", "tls")


class Settings(BaseSettings):
    """What a person can set; each has a default that is safe."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(description="the data folder; given with `--data`, not in `candor.toml`")
    key_file: Path | None = Field(
        default=None, description="site key; default: the data folder's name + .key, next to it"
    )
    database_url: str = Field(default="", description="empty: an encrypted SQLite file in the data folder")
    workflow_database_url: str = Field(default="", description="empty: an encrypted SQLite file in the data folder")
    minimum_free_bytes: Count = Field(default=2 * 1024**3, ge=0, description="below this, C-STORE answers 0xA700")

    ae_title: AeTitle = Field(default="CANDOR", description="our AE title")
    host: Host = Field(default=LOOPBACK, description="address the DICOM listeners bind to")
    port: Count = Field(default=11112, ge=0, le=65535, description="port of the plain listener")
    plain_listener: Switch = Field(default=True, description="false: only TLS is let in")
    tls: TlsSettings | None = Field(default=None, description="a listener over TLS: a table of its own")
    require_called_ae_title: Switch = Field(default=True, description="refuse peers that call another AE title")
    allowed_calling_ae_titles: tuple[AeTitle, ...] = Field(default=(), description="empty: every calling AE title")
    allowed_addresses: tuple[Network, ...] = Field(
        default=(), description="addresses or networks; empty: every address"
    )
    maximum_associations: Count = Field(default=64, ge=1, description="open at the same time")
    maximum_associations_per_address: Count = Field(default=32, ge=1, description="of them, from one address")
    maximum_object_bytes: Count = Field(
        default=2 * 1024**3, ge=1024**2, description="a larger object ends its association"
    )
    maximum_bytes_in_flight: Count = Field(
        default=4 * 1024**3, ge=1024**2, description="of all objects half received; beyond it C-STORE answers 0xA700"
    )

    quiet_seconds: Seconds = Field(default=2.0, ge=0, description="a study is complete this long after its last image")
    maximum_wait_seconds: Seconds = Field(default=300.0, gt=0, description="or this long after its first one")

    models_dir: Path | None = Field(
        default=None, description="where registered model packages are kept; default: models in the data folder"
    )
    trusted_model_keys: tuple[PublicKey, ...] = Field(
        default=(), description="public keys (base64) of publishers whose signed model packages are taken"
    )
    require_model_signature: Switch = Field(
        default=False, description="true: take only packages that a trusted maker has signed"
    )
    body_part_words: dict[str, tuple[str, ...]] = Field(
        default={}, description='a table: what this site writes as Body Part Examined, `CHEST = ["RTG KLP"]`'
    )
    maximum_image_pixels: Count = Field(
        default=64_000_000, ge=1, description="an image with more rows x columns is not analysed, and not decoded"
    )
    model_threads: Count = Field(default=0, ge=0, le=1024, description="0: as many as there are cores")
    cohorts_file: Path | None = Field(
        default=None, description="cohorts that the site defines; default: `cohorts.toml` in the data folder, if there"
    )
    policy_file: Path | None = Field(
        default=None,
        description="what the site will not live with, by cohort; default: `policy.toml` in the data folder, if there",
    )
    blind_read_rate: Number = Field(
        default=0.05, ge=0, le=1, description="share of the studies without a flag that `candor truth blind-list` draws"
    )
    faithfulness: Literal["every", "sampled", "off"] = Field(
        default="every",
        description="measure how far to trust each map: every, sampled (a tenth), off; an unmeasured map is not drawn",
    )
    faithfulness_wait_seconds: float = Field(
        default=5.0,
        ge=0,
        description="how long a report waits for its maps to be measured; then they are measured before the pictures",
    )
    faithfulness_passes: Count = Field(
        default=25, ge=14, description="what that may cost per map, in forward passes of the model"
    )
    reading_threads: Count = Field(default=3, ge=1, le=256, description="studies read at the same time by one worker")

    destinations: tuple[DestinationSettings, ...] = Field(
        default=(), description="where results go: an array of tables, one for each"
    )
    delivery_backoff_seconds: Seconds = Field(default=1.0, gt=0, description="first pause after a failed delivery")
    delivery_maximum_backoff_seconds: Seconds = Field(default=300.0, gt=0, description="and the longest one")

    web_host: Host = Field(default=LOOPBACK, description="loopback only, until there are accounts")
    web_port: Count = Field(default=8443, ge=0, le=65535, description="plain HTTP, until there are accounts")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    log_json: Switch = Field(default=True, description="false: easier to read, on a terminal only")

    @field_validator("destinations")
    @classmethod
    def _names_are_unique(cls, destinations: tuple[DestinationSettings, ...]) -> tuple[DestinationSettings, ...]:
        names = [d.name for d in destinations]
        for number, name in enumerate(names):
            if name in names[:number]:
                place = ["destinations", number, "", "name"]
                words = f"destination {names.index(name) + 1} is called {quoted(name)} too; give each a name of its own"
                raise PydanticCustomError("name_taken", "{words}", {"place": place, "words": words})
        return destinations

    @model_validator(mode="after")
    def _someone_can_come_in(self) -> Settings:
        if not self.plain_listener and self.tls is None:
            raise ValueError("plain_listener = false needs a [tls] table, or nothing would listen")
        return self

    @property
    def site_key_file(self) -> Path:
        """Outside the data folder: a stolen copy of the folder does not open itself."""
        return self.key_file or self.data_dir.with_name(self.data_dir.name + ".key")

    @property
    def models_folder(self) -> Path:
        """The folder of registered packages: NAME/VERSION below it."""
        return self.models_dir or self.data_dir / "models"

    @property
    def delivery_backoff(self) -> Backoff:
        return Backoff(
            first_seconds=self.delivery_backoff_seconds, longest_seconds=self.delivery_maximum_backoff_seconds
        )

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlcipher:///{self.data_dir / 'candor.db'}"

    @property
    def workflow_url(self) -> str:
        if self.workflow_database_url:
            return self.workflow_database_url
        return self.database_url or f"sqlcipher:///{self.data_dir / 'workflows.db'}"

    def destination(self, name: str) -> DestinationSettings:
        """The destination called `name`, or a ConfigurationError that lists the known ones."""
        for destination in self.destinations:
            if destination.name == name:
                return destination
        known = ", ".join(d.name for d in self.destinations) or "none"
        raise ConfigurationError(f"there is no destination called {name}; known: {known}")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def load_settings(data_dir: Path) -> Settings:
    """Settings of the data folder: its `candor.toml` under the environment.

    ConfigurationError says everything that is wrong, a line for each: the line of the file, the cause, what was meant.
    """
    file = read_settings_file(data_dir / SETTINGS_FILE)
    environment = faults_of_environment(list(Settings.model_fields), _STRUCTURED)
    faults = [*environment.values(), *_folder_in_file(file)]
    try:
        with without_variables(list(environment)):
            settings = Settings(**{**file.entries, "data_dir": data_dir})
    except ValidationError as error:
        faults += _explained(error, file, list(environment))
    if faults:
        raise ConfigurationError("\n".join(faults))
    return settings


def _folder_in_file(file: SettingsFile) -> Iterator[str]:
    if "data_dir" in file.entries:
        yield f"{_at(file, ('data_dir',))}the data folder is given with --data or CANDOR_DATA, not here"


def _explained(error: ValidationError, file: SettingsFile, ignored: Sequence[str]) -> Iterator[str]:
    """A sentence for each fault, in the order of the file, without the values: a value may be a secret.

    `ignored`: variables of the environment that were not read.
    """
    variables = {
        name: variable
        for name in Settings.model_fields
        if (variable := variable_of(name)) is not None and variable not in ignored
    }
    said = {name: json.loads(os.environ[variables[name]]) for name in variables if name in _STRUCTURED}
    faults = error.errors(include_url=False, include_input=False)
    explained = [sentence(fault, {**file.entries, **said}, Settings) for fault in faults[:SHOWN_FAULTS]]
    for place, words in sorted(explained, key=lambda found: file.line_of(found[0]) or 0):
        variable = variables.get(str(place[0])) if place else None
        yield (f"the environment variable {variable}: " if variable else _at(file, place)) + words
    if len(faults) > SHOWN_FAULTS:
        yield f"and {len(faults) - SHOWN_FAULTS} more faults"


def _at(file: SettingsFile, place: Place) -> str:
    line = file.line_of(place)
    return f"{file.path}, line {line}: " if line else f"{file.path}: "
