"""The site key: a secret file that is hard to lose, leak or overwrite, and sub-keys that do not open each other."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.store.keys import SiteKey


def test_a_new_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "site.key"
    key = SiteKey.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SiteKey.load(path) == key
    assert [p.name for p in path.parent.iterdir()] == ["site.key"]


def test_the_mode_is_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SiteKey.create(tmp_path / "site.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "site.key").stat().st_mode) == 0o600


def test_create_never_replaces_a_key(tmp_path: Path) -> None:
    key = SiteKey.create(tmp_path / "site.key")
    with pytest.raises(ConfigurationError, match="exists"):
        SiteKey.create(tmp_path / "site.key")
    assert SiteKey.load(tmp_path / "site.key") == key
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "site.key"
    SiteKey.create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        SiteKey.load(path)


def test_a_stricter_mode_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    key = SiteKey.create(path)
    path.chmod(0o400)
    assert SiteKey.load(path) == key


def test_a_lost_key_file_says_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="restore it from its backup"):
        SiteKey.load(tmp_path / "site.key")


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ=", "ä", "A" * 43])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SiteKey.from_text(text)
    assert not text or text not in str(caught.value)


def test_the_environment_form_is_the_file_form() -> None:
    key = SiteKey.generate().rotated()
    assert SiteKey.from_text(key.to_text().replace("\n", " ")) == key


def test_every_purpose_has_its_own_sub_key() -> None:
    key = SiteKey.generate()
    derived = [
        *key.object_keys, *key.database_keys, key.pseudonym_key, key.trail_key, key.trail_signing_seed, *key.secrets
    ]  # fmt: skip
    assert len(set(derived)) == len(derived) == 6
    assert {len(k) for k in derived} == {32}


def test_sub_keys_never_change_between_versions_of_candor() -> None:
    """A change here would lock every installation out of its data."""
    key = SiteKey((bytes(range(32)),))
    assert key.object_keys[0].hex() == "93f31f8e8b78d86cbb4044b2dd6e0216918767d8c5265fe060a184ce3d79a8c4"
    assert key.database_keys[0].hex() == "378c1741500b1baa788db47a7a8e20c291f1514e5584da7e2179a17d4e9f2184"
    assert key.pseudonym_key.hex() == "95ddad49c24dceaf94c4e0baed253c9e976b1758ab7261330c979fd0702434cc"
    assert key.trail_key.hex() == "9a3d76096999ad66fa348f7edef29b6ea1c6a39ae276a184b74d0c52ed7111af"
    assert key.trail_signing_seed.hex() == "a9b03042978c1127d34a79ac0b7b3f08ee345108dcbf2eb435e36e80d5057968"


def test_rotation_keeps_pseudonyms_and_the_audit_chain_and_changes_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    old = SiteKey.create(path)
    old.rotated().save(path)
    new = SiteKey.load(path)
    assert (new.pseudonym_key, new.trail_key, new.trail_signing_seed) == (
        old.pseudonym_key, old.trail_key, old.trail_signing_seed
    )  # fmt: skip
    assert new.object_keys[1:] == old.object_keys
    assert new.object_keys[0] not in old.object_keys
    assert new.database_keys[0] != old.database_keys[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_never_shows_itself() -> None:
    key = SiteKey.generate()
    assert key.secrets[0].hex() not in repr(key)
    assert repr(key) == "SiteKey()"
