"""Every setting there is, read once in the composition root and passed down.

Sources, the first wins: environment (`CANDOR_PORT=104`, lists and tables as JSON), `candor.toml` in the data folder
(or what a caller passes), defaults. An unknown key, in the file or in the environment, stops the start: a typing error
must not silently leave a hospital with the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.backoff import Backoff
from core.errors import ConfigurationError
from core.settings.destinations import LOOPBACK, DestinationSettings, TlsSettings

PREFIX = "CANDOR_"
SETTINGS_FILE = "candor.toml"


class Settings(BaseSettings):
    """What a person can set; each has a default that is safe."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(description="the data folder; given with `--data`, not in `candor.toml`")
    key_file: Path | None = Field(
        default=None, description="site key; default: the data folder's name + .key, next to it"
    )
    database_url: str = Field(default="", description="empty: an encrypted SQLite file in the data folder")
    workflow_database_url: str = Field(default="", description="empty: an encrypted SQLite file in the data folder")
    minimum_free_bytes: int = Field(default=2 * 1024**3, ge=0, description="below this, C-STORE answers 0xA700")

    ae_title: str = Field(default="CANDOR", min_length=1, max_length=16, description="our AE title")
    host: str = Field(default=LOOPBACK, description="address the DICOM listeners bind to")
    port: int = Field(default=11112, ge=0, le=65535, description="port of the plain listener")
    plain_listener: bool = Field(default=True, description="false: only TLS is let in")
    tls: TlsSettings | None = Field(default=None, description="a listener over TLS: a table of its own")
    require_called_ae_title: bool = Field(default=True, description="refuse peers that call another AE title")
    allowed_calling_ae_titles: tuple[str, ...] = Field(default=(), description="empty: every calling AE title")
    allowed_addresses: tuple[str, ...] = Field(default=(), description="addresses or networks; empty: every address")
    maximum_associations: int = Field(default=64, ge=1, description="open at the same time")
    maximum_associations_per_address: int = Field(default=32, ge=1, description="of them, from one address")
    maximum_object_bytes: int = Field(
        default=2 * 1024**3, ge=1024**2, description="a larger object ends its association"
    )
    maximum_bytes_in_flight: int = Field(
        default=4 * 1024**3, ge=1024**2, description="of all objects half received; beyond it C-STORE answers 0xA700"
    )

    quiet_seconds: float = Field(default=2.0, ge=0, description="a study is complete this long after its last image")
    maximum_wait_seconds: float = Field(default=300.0, gt=0, description="or this long after its first one")

    models_dir: Path | None = Field(
        default=None, description="where registered model packages are kept; default: models in the data folder"
    )
    trusted_model_keys: tuple[str, ...] = Field(
        default=(), description="public keys (base64) of publishers whose signed model packages are taken"
    )
    require_model_signature: bool = Field(
        default=False, description="true: take only packages that a trusted maker has signed"
    )
    body_part_words: dict[str, tuple[str, ...]] = Field(
        default={}, description='a table: what this site writes as Body Part Examined, `CHEST = ["RTG KLP"]`'
    )
    maximum_image_pixels: int = Field(
        default=64_000_000, ge=1, description="an image with more rows x columns is not analysed, and not decoded"
    )
    model_threads: int = Field(default=0, ge=0, description="0: as many as there are cores")
    cohorts_file: Path | None = Field(
        default=None, description="cohorts that the site defines; default: `cohorts.toml` in the data folder, if there"
    )
    policy_file: Path | None = Field(
        default=None,
        description="what the site will not live with, by cohort; default: `policy.toml` in the data folder, if there",
    )
    blind_read_rate: float = Field(
        default=0.05, ge=0, le=1, description="share of the studies without a flag that `candor truth blind-list` draws"
    )
    faithfulness: Literal["every", "sampled", "off"] = Field(
        default="every",
        description="measure how far to trust each map: every (a tenth while studies wait), sampled (a tenth), off",
    )
    faithfulness_passes: int = Field(
        default=25, ge=14, description="what that may cost per map, in forward passes of the model"
    )
    reading_threads: int = Field(default=3, ge=1, description="studies read at the same time by one worker")

    destinations: tuple[DestinationSettings, ...] = Field(
        default=(), description="where results go: an array of tables, one for each"
    )
    delivery_backoff_seconds: float = Field(default=1.0, gt=0, description="first pause after a failed delivery")
    delivery_maximum_backoff_seconds: float = Field(default=300.0, gt=0, description="and the longest one")

    web_host: str = Field(default=LOOPBACK, description="loopback only, until there are accounts")
    web_port: int = Field(default=8443, ge=0, le=65535, description="plain HTTP, until there are accounts")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    log_json: bool = Field(default=True, description="false: easier to read, on a terminal only")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        names = [d.name for d in self.destinations]
        if len(names) != len(set(names)):
            raise ValueError("two destinations have the same name")
        return self

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
    """Settings of the data folder: its `candor.toml` under the environment; ConfigurationError names what is wrong."""
    _refuse_unknown_environment()
    from_file = _read_file(data_dir / SETTINGS_FILE)
    try:
        return Settings(**{**from_file, "data_dir": data_dir})
    except ValidationError as error:
        raise ConfigurationError(f"the settings of {data_dir} are not right: {_explain(error)}") from error


@contextmanager
def only_these_variables(*names: str) -> Iterator[None]:
    """Hide what the environment says of all settings but `names`, from this process and from children it starts.

    For commands that set up a data folder of their own, in a container that may have set CANDOR_KEY_FILE.
    """
    kept = {PREFIX + name.upper() for name in names}
    hidden = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX) and key not in kept}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path.parent} is not a Candor data folder; make one with: candor init --data {path.parent}"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _refuse_unknown_environment() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields if name != "data_dir"} | {f"{PREFIX}DATA"}
    unknown = sorted(key for key in os.environ if key.startswith(PREFIX) and key not in known)
    if unknown:
        raise ConfigurationError(f"the environment has settings that Candor does not know: {', '.join(unknown)}")


def _explain(error: ValidationError) -> str:
    """Where and what, without the values: a value may be a secret."""
    return "; ".join(_fault(e["type"], list(e["loc"]), e["msg"], e.get("ctx", {})) for e in error.errors())


def _fault(kind: str, location: list[int | str], message: str, context: Mapping[str, Any]) -> str:
    if kind == "union_tag_invalid":
        location, message = [*location, "kind"], f"must be one of {context['expected_tags']}"
    elif location[:1] == ["destinations"]:
        location = [*location[:2], *location[3:]]  # without the kind, which is no key
    words = {"extra_forbidden": "there is no such setting", "missing": "is missing"}.get(kind, message)
    return f"{'.'.join(map(str, location)) or 'settings'}: {words.removeprefix('Value error, ')}"
