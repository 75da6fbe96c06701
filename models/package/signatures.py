"""The maker's signature: who made a model package, in a way that the maker cannot be impersonated.

`signature.json` in the package holds the maker's Ed25519 public key and a signature over the canonical list of the
package's files and their SHA-256. It says something only when the key is one that the site trusts
(`trusted_model_keys`): a package that is signed by anybody else, or wrongly, is refused, because a signature that
proves nothing is worse than none.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.errors import ConfigurationError, IntegrityError
from models.package.contents import SIGNATURE, canonical, files_of

_CONTEXT = b"candor model package 1\n"
_ALGORITHM = "Ed25519"


def new_key(path: Path) -> str:
    """Write a new private key to `path`, mode 0600, and return its public key, base64, for `trusted_model_keys`.

    ConfigurationError when there is a file already.
    """
    key = Ed25519PrivateKey.generate()
    text = base64.b64encode(key.private_bytes_raw()) + b"\n"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"the key {path} cannot be written ({error.strerror})") from error
    return public_text(key.public_key())


def sign_package(folder: Path, key_file: Path) -> str:
    """Sign a package as its maker; returns the public key, base64. Any change of a file afterwards breaks it."""
    key = _private_key(key_file)
    if not (folder / "candor.json").is_file():
        raise ConfigurationError(f"{folder} is not a model package: it has no candor.json")
    document = {
        "algorithm": _ALGORITHM,
        "public_key": public_text(key.public_key()),
        "signature": base64.b64encode(key.sign(_CONTEXT + canonical(files_of(folder)))).decode("ascii"),
    }
    (folder / SIGNATURE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return document["public_key"]


def signer_of(folder: Path, files: dict[str, str], trusted: Collection[str], called: str) -> str:
    """The trusted maker's public key, base64, "" when the package is not signed.

    Raises IntegrityError when the signature is not by a trusted key, or is wrong, or cannot be read.
    """
    if SIGNATURE.as_posix() not in files:
        return ""
    try:
        document = json.loads((folder / SIGNATURE).read_text(encoding="utf-8"))
        raw = base64.b64decode(document["public_key"], validate=True)
        signature = base64.b64decode(document["signature"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the signature of {called} cannot be read; get the package again") from error
    try:
        key.verify(signature, _CONTEXT + canonical(files))
    except InvalidSignature:
        raise IntegrityError(f"the signature of {called} is wrong: its files are not those that were signed") from None
    if public_text(key) not in trusted:
        raise IntegrityError(
            f"{called} is signed with the key {public_text(key)}, which trusted_model_keys does not hold"
        )
    return public_text(key)


def public_text(key: Ed25519PublicKey) -> str:
    """A public key as `trusted_model_keys` holds it."""
    return base64.b64encode(key.public_bytes_raw()).decode("ascii")


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes().strip(), validate=True))
    except OSError as error:
        raise ConfigurationError(f"the key {path} cannot be read ({error.strerror})") from error
    except ValueError:
        raise ConfigurationError(f"{path} is not a key of `candor models keygen`") from None
