"""The site key: the one secret of an installation, and what is derived from it.

A key file holds one secret a line, base64, 32 bytes each, newest first. Rotation puts a new line in front: new
objects are wrapped with the newest secret, older objects open with the older ones until they are re-wrapped, and the
last line, the founding secret, keeps pseudonyms and the trail stable for the life of the installation (a
pseudonym that changed would no longer find its study). Each purpose gets a sub-key of its own by HKDF-SHA256
(RFC 5869), so that none of them opens what another one guards.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import ConfigurationError
from core.files import make_private_folder, why_unusable, write_durably

SECRET_BYTES = 32


class Purpose(StrEnum):
    """What a sub-key is for; the text is HKDF's `info` and must never change."""

    OBJECTS = "candor/objects/1"
    DATABASE = "candor/database/1"
    PSEUDONYMS = "candor/pseudonyms/1"
    TRAIL_CHAIN = "candor/audit-chain/1"
    TRAIL_SIGNATURE = "candor/audit-signature/1"
    MODEL_SIGNATURE = "candor/model-signature/1"
    FAIRNESS_SIGNATURE = "candor/fairness-signature/1"


@dataclass(frozen=True, slots=True)
class SiteKey:
    """The secrets of a site, newest first, and the sub-keys (32 bytes each) derived from them."""

    secrets: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secrets or any(len(secret) != SECRET_BYTES for secret in self.secrets):
            raise ConfigurationError(f"a site key holds secrets of {SECRET_BYTES} bytes each, base64, one a line")

    @classmethod
    def generate(cls) -> SiteKey:
        """A new random key."""
        return cls((secrets.token_bytes(SECRET_BYTES),))

    @classmethod
    def from_text(cls, text: str) -> SiteKey:
        """The key written as base64, one secret a line (or separated by blanks, as in an environment variable)."""
        try:
            return cls(tuple(base64.b64decode(word, validate=True) for word in text.split()))
        except (binascii.Error, ValueError):
            raise ConfigurationError("the site key is not base64; restore it from its backup") from None

    @classmethod
    def create(cls, path: Path) -> SiteKey:
        """A new key, written to `path` with mode 0600; ConfigurationError when a file is there: it may be in use."""
        key = cls.generate()
        _write_secret_file(path, key.to_text(), replace=False)
        return key

    @classmethod
    def load(cls, path: Path) -> SiteKey:
        """The key in the file `path`; ConfigurationError when it is missing, not a key, or readable by others."""
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise ConfigurationError(f"other accounts may read the site key; run: chmod 600 {path}")
                text = file.read(64 * 1024).decode("ascii", errors="replace")
        except OSError as error:
            raise ConfigurationError(_why_no_key(path, error)) from None
        return cls.from_text(text)

    def rotated(self) -> SiteKey:
        """This key with a fresh secret in front; the older ones still open what they wrapped."""
        return SiteKey((secrets.token_bytes(SECRET_BYTES), *self.secrets))

    def save(self, path: Path) -> None:
        """Replace the key file in one step, mode 0600."""
        _write_secret_file(path, self.to_text(), replace=True)

    def to_text(self) -> str:
        """The key as `from_text` reads it."""
        return "".join(base64.b64encode(secret).decode("ascii") + "\n" for secret in self.secrets)

    @property
    def object_keys(self) -> tuple[bytes, ...]:
        """What wraps the data keys of objects, newest first."""
        return self._each(Purpose.OBJECTS)

    @property
    def database_keys(self) -> tuple[bytes, ...]:
        """What encrypts the database file, newest first."""
        return self._each(Purpose.DATABASE)

    @property
    def pseudonym_key(self) -> bytes:
        """What pseudonyms are hashed with; outlives rotation."""
        return _derive(self.secrets[-1], Purpose.PSEUDONYMS)

    @property
    def trail_key(self) -> bytes:
        """What the trail is chained with; outlives rotation."""
        return _derive(self.secrets[-1], Purpose.TRAIL_CHAIN)

    @property
    def trail_signing_seed(self) -> bytes:
        """The Ed25519 seed that signs the head of the trail; outlives rotation."""
        return _derive(self.secrets[-1], Purpose.TRAIL_SIGNATURE)

    @property
    def model_signing_seed(self) -> bytes:
        """The Ed25519 seed that signs the registrations of models; outlives rotation."""
        return _derive(self.secrets[-1], Purpose.MODEL_SIGNATURE)

    @property
    def fairness_signing_seed(self) -> bytes:
        """The Ed25519 seed that signs fairness audits; outlives rotation."""
        return _derive(self.secrets[-1], Purpose.FAIRNESS_SIGNATURE)

    def _each(self, purpose: Purpose) -> tuple[bytes, ...]:
        return tuple(_derive(secret, purpose) for secret in self.secrets)


def _derive(secret: bytes, purpose: Purpose) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


def _why_no_key(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"the site key {path} does not exist; restore it from its backup: without it nothing stored can be opened"
        )
    return why_unusable(path, error, "read").replace(str(path), f"the site key {path}", 1)


def _write_secret_file(path: Path, text: str, *, replace: bool) -> None:
    """Whole or not at all: a half-written key would lock the site out of its own data."""
    try:
        make_private_folder(path.parent)
        write_durably(path, text.encode("ascii"), replace=replace)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists; a new key would lock out everything the old one guards") from None
    except OSError as error:
        raise ConfigurationError(f"the site key {path} cannot be written: {error.strerror}") from None
