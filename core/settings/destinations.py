"""Where results go: one settings class for each kind of destination, and the union of them.

A new kind is a class here and its name in `AnyDestination`, a carrier, and one line in `pipeline.carriers.CARRIERS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from core.domain.report import ObjectKind
from core.settings.kinds import AeTitle, Count, Host, Switch

LOOPBACK = "127.0.0.1"
DEFAULT_OBJECTS = (ObjectKind.SR, ObjectKind.SC, ObjectKind.GSPS, ObjectKind.SEG)


class TlsSettings(BaseModel):
    """A TLS listener or peer: PEM files. With `ca_file` the other side must show a certificate signed by it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate_file: Path = Field(description="PEM: our certificate")
    key_file: Path = Field(description="PEM: its private key")
    ca_file: Path | None = Field(
        default=None, description="PEM: who signs the certificates of those we talk to; a listener then demands one"
    )
    port: Count = Field(
        default=2762, ge=0, le=65535, description="port of the TLS listener; means nothing at a destination"
    )


class Destination(BaseModel):
    """What every kind of destination has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="what commands, logs and metrics call it: letters, digits, _ and -",
    )
    objects: tuple[ObjectKind, ...] = Field(
        default=DEFAULT_OBJECTS,
        description="which results it gets: sr, sc (a summary picture), gsps, seg, seg-fractional, pmap (CT and "
        "MR only), sc-findings (a picture of each finding), rejection-note (takes back what was filed under a patient "
        "that was corrected since: IHE IOCM)",
    )
    refused_reports: Switch = Field(default=False, description="send an SR also for studies that no model takes")


class DicomDestination(Destination):
    """A PACS or another DICOM node: results go there by C-STORE."""

    kind: Literal["dicom"] = Field(default="dicom", description="a DICOM node, by C-STORE; the kind when none is given")
    ae_title: AeTitle = Field(description="its AE title")
    host: Host = Field(default=LOOPBACK, description="its address")
    port: Count = Field(default=104, ge=1, le=65535, description="its port")
    tls: TlsSettings | None = Field(default=None, description="speak TLS with it: a table, [destinations.tls]")
    storage_commitment: Switch = Field(default=False, description="ask it to commit to keeping what it got")


class FolderDestination(Destination):
    """A folder on this machine: each result is a file there."""

    kind: Literal["folder"] = Field(default="folder", description="files in a folder of this machine")
    folder: Path = Field(description="where the files go")

    @field_validator("folder")
    @classmethod
    def _is_given(cls, folder: Path) -> Path:
        if folder == Path():
            raise ValueError("must name a folder")
        return folder


AnyDestination = DicomDestination | FolderDestination
DESTINATION_KINDS: tuple[type[Destination], ...] = get_args(AnyDestination)


def _dicom_by_default(value: Any) -> Any:
    """A destination that names no kind is a DICOM node, as in every file from before there were kinds."""
    return {"kind": "dicom", **value} if isinstance(value, dict) else value


DestinationSettings = Annotated[
    Annotated[AnyDestination, Field(discriminator="kind")], BeforeValidator(_dicom_by_default)
]
"""One entry of `destinations`."""
