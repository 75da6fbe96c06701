"""Sealed objects: what is put comes back or says that it was touched, and nothing half-written is ever seen."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DiskFull, IntegrityError
from core.store.keys import SiteKey
from core.store.objects import CHUNK_BYTES, HEADER_BYTES, INCOMING, TAG_BYTES, ObjectStore

SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
BOUNDARIES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1]
relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
KEY = SiteKey.generate()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path, KEY, minimum_free_bytes=0)


def file_of(root: Path, object_key: str) -> Path:
    return root / object_key[:2] / object_key


def pattern(size: int) -> bytes:
    return (b"candor-0123456789" * (size // 17 + 1))[:size]


@pytest.mark.parametrize("size", BOUNDARIES)
def test_what_is_put_comes_back(store: ObjectStore, size: int) -> None:
    data = pattern(size)
    stored = store.put(data)
    assert store.get(stored.object_key) == data
    assert (stored.size_bytes, stored.sha256) == (size, hashlib.sha256(data).hexdigest())


@relaxed
@given(sizes=st.lists(st.sampled_from([0, 1, 7, 65_536, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 3]), max_size=4))
def test_how_the_pieces_are_cut_does_not_matter(tmp_path: Path, sizes: list[int]) -> None:
    store = ObjectStore(tmp_path, KEY, minimum_free_bytes=0)
    pieces = [pattern(size) for size in sizes]
    stored = store.put(iter(pieces))
    whole = b"".join(pieces)
    assert store.get(stored.object_key) == whole
    chunks = max(1, -(-len(whole) // CHUNK_BYTES))
    assert file_of(tmp_path, stored.object_key).stat().st_size == HEADER_BYTES + len(whole) + chunks * TAG_BYTES


def test_names_are_random_and_nothing_readable_is_on_disk(store: ObjectStore, tmp_path: Path) -> None:
    keys = {store.put(pattern(100_000)).object_key for _ in range(5)}
    assert len(keys) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5
    assert not any(b"candor-0123" in path.read_bytes() for path in files)
    assert set(store.object_keys()) == keys


@relaxed
@given(data=st.data(), size=st.sampled_from([0, 1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1]))
def test_any_flipped_bit_is_detected(tmp_path: Path, data: st.DataObject, size: int) -> None:
    store = ObjectStore(tmp_path, KEY, minimum_free_bytes=0)
    stored = store.put(pattern(size))
    path = file_of(tmp_path, stored.object_key)
    sealed = bytearray(path.read_bytes())
    empty_slot = range(HEADER_BYTES // 2 + 4, HEADER_BYTES)  # holds nothing until a rotation
    at = data.draw(st.integers(0, len(sealed) - 1).filter(lambda i: i not in empty_slot))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(sealed)
    with pytest.raises(IntegrityError):
        store.get(stored.object_key)


@relaxed
@given(
    kept=st.one_of(
        st.integers(0, HEADER_BYTES + 3 * SEALED_CHUNK - 1),
        st.sampled_from([HEADER_BYTES + n * SEALED_CHUNK for n in range(3)]),
    )
)
def test_any_truncation_is_detected(tmp_path: Path, kept: int) -> None:
    store = ObjectStore(tmp_path, KEY, minimum_free_bytes=0)
    stored = store.put(pattern(3 * CHUNK_BYTES))
    os.truncate(file_of(tmp_path, stored.object_key), kept)
    with pytest.raises(IntegrityError):
        store.get(stored.object_key)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 0, 2), (0, 2), (0, 1, 2, 2), (2,), (0, 1, 2, 0)])
def test_reordered_repeated_and_missing_chunks_are_detected(
    store: ObjectStore, tmp_path: Path, order: tuple[int, ...]
) -> None:
    stored = store.put(pattern(3 * CHUNK_BYTES))
    path = file_of(tmp_path, stored.object_key)
    sealed = path.read_bytes()
    chunks = [sealed[HEADER_BYTES + n * SEALED_CHUNK :][:SEALED_CHUNK] for n in range(3)]
    path.write_bytes(sealed[:HEADER_BYTES] + b"".join(chunks[n] for n in order))
    with pytest.raises(IntegrityError):
        store.get(stored.object_key)


def test_bytes_added_at_the_end_are_detected(store: ObjectStore, tmp_path: Path) -> None:
    stored = store.put(b"x" * 10)
    with file_of(tmp_path, stored.object_key).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(IntegrityError):
        store.get(stored.object_key)


def test_a_chunk_or_a_whole_file_of_another_object_is_detected(store: ObjectStore, tmp_path: Path) -> None:
    one, other = (file_of(tmp_path, store.put(pattern(CHUNK_BYTES)).object_key) for _ in range(2))
    whole = other.read_bytes()
    for forged in (one.read_bytes()[:HEADER_BYTES] + whole[HEADER_BYTES:], whole):
        one.write_bytes(forged)
        with pytest.raises(IntegrityError):
            store.get(one.name)


def test_another_site_key_opens_nothing(store: ObjectStore, tmp_path: Path) -> None:
    stored = store.put(b"secret")
    with pytest.raises(IntegrityError, match="site key"):
        ObjectStore(tmp_path, SiteKey.generate(), minimum_free_bytes=0).get(stored.object_key)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 31, "A" * 32, "0" * 32 + "\n"])
def test_a_name_cannot_lead_out_of_the_store(store: ObjectStore, name: str) -> None:
    for act in (store.get, store.delete):
        with pytest.raises(IntegrityError, match="not the name"):
            act(name)


def test_delete_forgets_and_may_be_repeated(store: ObjectStore) -> None:
    stored = store.put(b"x")
    store.delete(stored.object_key)
    store.delete(stored.object_key)
    with pytest.raises(IntegrityError, match="gone"):
        store.get(stored.object_key)


def test_rotation_rewraps_the_key_and_leaves_the_chunks(store: ObjectStore, tmp_path: Path) -> None:
    data = pattern(CHUNK_BYTES + 5)
    object_key = store.put(data).object_key
    path = file_of(tmp_path, object_key)
    chunks = path.read_bytes()[HEADER_BYTES:]
    rotated = KEY.rotated()
    both = ObjectStore(tmp_path, rotated, minimum_free_bytes=0)
    assert both.get(object_key) == data  # during the rotation both secrets open it
    assert both.rewrap(object_key)
    assert not both.rewrap(object_key)
    assert path.read_bytes()[HEADER_BYTES:] == chunks
    newest_alone = ObjectStore(tmp_path, SiteKey(rotated.secrets[:1]), minimum_free_bytes=0)
    assert newest_alone.get(object_key) == data
    with pytest.raises(IntegrityError):
        store.get(object_key)
    again = ObjectStore(tmp_path, rotated.rotated(), minimum_free_bytes=0)
    assert again.rewrap(object_key)
    assert again.get(object_key) == data


def test_an_interrupted_rotation_opens_with_either_key_and_is_completed(store: ObjectStore, tmp_path: Path) -> None:
    object_key = store.put(b"x").object_key
    path = file_of(tmp_path, object_key)
    before = path.read_bytes()
    both = ObjectStore(tmp_path, KEY.rotated(), minimum_free_bytes=0)
    both.rewrap(object_key)
    slot_0, slot_1 = slice(8, 48), slice(48, 88)
    halfway = bytearray(path.read_bytes())  # power went after the new key was written, before the old one was wiped
    halfway[slot_0] = before[slot_0]
    path.write_bytes(halfway)
    assert store.get(object_key) == both.get(object_key) == b"x"
    assert both.rewrap(object_key)
    assert path.read_bytes()[slot_0] == bytes(40)
    torn = bytearray(before)  # power went while the new key was being written
    torn[slot_1] = halfway[slot_1][:20] + bytes(20)
    path.write_bytes(torn)
    assert both.rewrap(object_key)
    assert both.get(object_key) == b"x"


def test_a_full_disk_is_seen_before_a_byte_is_written(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path, KEY, minimum_free_bytes=1 << 62)

    def pieces() -> Iterator[bytes]:
        pytest.fail("the data was read")
        yield b""

    with pytest.raises(DiskFull):
        store.put(pieces())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


FILL_A_SMALL_DISK = """
import sys
from pathlib import Path
from core.errors import DiskFull
from core.store.keys import SiteKey
from core.store.objects import ObjectStore
root = Path(sys.argv[1])
store = ObjectStore(root, SiteKey.generate(), minimum_free_bytes=0)
small = store.put(b"kept")
try:
    store.put(bytes(8 << 20))
except DiskFull:
    files = [p.name for p in root.rglob("*") if p.is_file()]
    print("refused" if files == [small.object_key] and store.get(small.object_key) == b"kept" else files)
"""


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    in_own_namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path}"
    try:
        probe = subprocess.run([*in_own_namespace, mount], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if probe.returncode:
        pytest.skip("this account may not mount a small disk")
    script = f'{mount} && exec {sys.executable} -c "$0" {tmp_path}'
    done = subprocess.run([*in_own_namespace, script, FILL_A_SMALL_DISK], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused", done.stderr


def test_a_sender_that_breaks_off_leaves_nothing_behind(store: ObjectStore, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(2 * CHUNK_BYTES)
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        store.put(pieces())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_sweep_removes_what_the_dead_left_and_spares_the_living(store: ObjectStore, tmp_path: Path) -> None:
    kept = store.put(b"kept").object_key
    (tmp_path / INCOMING / "left-by-the-dead").write_bytes(b"x")
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first"
        begun.set()
        assert go_on.wait(20)
        yield b"second"

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.put, slow())
        assert begun.wait(20)
        assert store.sweep() == 1
        go_on.set()
        assert store.get(writing.result().object_key) == b"firstsecond"
    assert store.get(kept) == b"kept"
    assert not list((tmp_path / INCOMING).iterdir())


def test_a_file_swept_between_its_birth_and_its_lock_is_made_again(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = fcntl.flock, []

    def flock(file: object, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not swept:
            swept.append(1)
            assert store.sweep() == 1
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", flock)
    assert store.get(store.put(b"x").object_key) == b"x"
    assert swept


def test_a_writer_killed_in_the_middle_leaves_no_object(store: ObjectStore, tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from core.store.keys import SiteKey;"
        "from core.store.objects import ObjectStore;"
        "pieces = (bytes(2 << 20) if n < 2 else os.kill(os.getpid(), 9) for n in range(3));"
        "ObjectStore(Path(sys.argv[1]), SiteKey.generate(), minimum_free_bytes=0).put(pieces)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not list(store.object_keys())
    assert store.sweep() == 1


def test_many_threads_write_and_read_at_once(store: ObjectStore) -> None:
    contents = [pattern(n * 1000) for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(store.put, contents))
        assert list(pool.map(lambda s: store.get(s.object_key), stored)) == contents
