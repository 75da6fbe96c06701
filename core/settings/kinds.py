"""What a setting may hold, as types that refuse the rest with a sentence."""

from __future__ import annotations

import base64
import binascii
from ipaddress import ip_network
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

MAXIMUM_AE_TITLE = 16
A_DAY_SECONDS = 24 * 3600.0
_PUBLIC_KEY_BYTES = 32
_SWITCH_WORDS = {"true": True, "1": True, "false": False, "0": False}


def _number(value: Any) -> Any:
    """Python and pydantic take true for 1; in a settings file that is a mistake."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _switch(value: Any) -> Any:
    """True or false; the environment, which has only text, may also say 1 or 0."""
    found = value if isinstance(value, bool) else _SWITCH_WORDS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be true or false")
    return found


def _ae_title(title: str) -> str:
    """An AE title: 1 to 16 characters of ASCII without backslash or control characters, not only blanks (PS3.5 6.2)."""
    if not title.strip(" "):
        raise ValueError("must not be empty")
    if len(title.strip(" ")) > MAXIMUM_AE_TITLE:
        raise ValueError(f"must have at most {MAXIMUM_AE_TITLE} characters")
    if "\\" in title or not title.isascii() or not title.isprintable():
        raise ValueError(
            "an AE title has letters, digits and signs of ASCII, but no backslash and no control character"
        )
    return title


def _network(address: str) -> str:
    try:
        ip_network(address, strict=False)
    except ValueError:
        raise ValueError(
            'must be an address or a network in numbers, such as "10.1.0.20" or "10.1.0.0/16"; names are not resolved'
        ) from None
    return address


def _public_key(text: str) -> str:
    try:
        length = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != _PUBLIC_KEY_BYTES:
        raise ValueError("must be a public key as `candor models keygen` prints it: base64 of 32 bytes")
    return text


def _host(host: str) -> str:
    if not host.isprintable() or any(sign in host for sign in " /@") or not host:
        raise ValueError('must be an address or a name alone, such as "10.1.0.20"; the port is a setting of its own')
    return host


Count = Annotated[int, BeforeValidator(_number)]
"""A whole number."""

Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite number."""

Seconds = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False, le=A_DAY_SECONDS)]
"""A time, in seconds; a day at most."""

Switch = Annotated[bool, BeforeValidator(_switch)]
"""True or false."""

AeTitle = Annotated[str, AfterValidator(_ae_title)]
"""The AE title of an application."""

Network = Annotated[str, AfterValidator(_network)]
"""An address or a network, in numbers."""

PublicKey = Annotated[str, AfterValidator(_public_key)]
"""An Ed25519 public key, base64."""

Host = Annotated[str, AfterValidator(_host)]
"""An address or the name of a machine."""
