"""A package holds plain files and no code, whatever its files are called."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import IntegrityError
from models.package.contents import canonical, code_in, differences, files_of
from models.package.format import load_package
from models.registry import ZOO
from tests.known_model import make_known_model


class Exploit:
    """What an attacker pickles: unpickling it calls something."""

    def __reduce__(self):
        return (print, ("unpickled",))


def zipped(content, name="archive/data.pkl"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def damaged(how):
    """A picture with a zip behind it that Python cannot unpack; something more lenient might."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("picture", pickle.dumps(Exploit()) + b"text" * 999)
    data = bytearray(stream.getvalue())
    local, central = 0, data.index(b"PK\x01\x02")
    if how == "encrypted":
        data[local + 6] |= 1
        data[central + 8] |= 1
    elif how == "unknown method":
        data[local + 8] = data[central + 10] = 99
    elif how == "newer format":
        data[central + 6] = 99
    elif how == "corrupt stream":
        data[local + 37 : local + 47] = b"\xff" * 10
    elif how == "corrupt directory":
        data[central : central + 4] = b"none"
    else:
        data = bytearray(b"PK\x05\x06" + bytes(18))
    return b"\x89PNG\r\n\x1a\n" + b"\0" * 99 + data


def tarred(content):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("model")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def saved_by_torch(**how):
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, stream, **how)
    return stream.getvalue()


def array_of_objects():
    stream = io.BytesIO()
    np.save(stream, np.array([Exploit()], dtype=object), allow_pickle=True)
    return stream.getvalue()


DISGUISES = {
    "every protocol": [pickle.dumps(Exploit(), protocol) for protocol in range(6)],
    "harmless objects": [pickle.dumps({"weights": [1.0, 2.0]}, protocol) for protocol in range(6)],
    "something behind it": [pickle.dumps(Exploit(), protocol) + b"\0trash" * 9 for protocol in range(6)],
    "cut off after the call": [pickle.dumps(Exploit(), 0)[:-1] + b"\xff\xff"],
    "torch": [saved_by_torch(), saved_by_torch(_use_new_zipfile_serialization=False)],
    "zip": [
        zipped(pickle.dumps(Exploit())),
        zipped(pickle.dumps(Exploit(), 0), "picture.png"),
        zipped(b"text", "a.txt"),
    ],
    "zip behind a picture": [b"\x89PNG\r\n\x1a\n" + b"\0" * 99 + zipped(pickle.dumps(Exploit()))],
    "damaged zip behind a picture": [
        damaged(how)
        for how in ("encrypted", "unknown method", "newer format", "corrupt stream", "corrupt directory", "empty")
    ],
    "tar": [tarred(pickle.dumps(Exploit()))],
    "compressed": [pack(pickle.dumps(Exploit())) for pack in (gzip.compress, bz2.compress, lzma.compress)],
    "numpy": [array_of_objects()],
}


@pytest.mark.parametrize("kind", DISGUISES)
@pytest.mark.parametrize("name", ["models/labels.txt", "docs/overlay.png", "notes"])
def test_code_in_disguise_is_refused_whatever_its_name(tmp_path: Path, kind: str, name: str) -> None:
    folder = make_known_model(tmp_path)
    (folder / "docs").mkdir(exist_ok=True)
    for content in DISGUISES[kind]:
        (folder / name).write_bytes(content)
        with pytest.raises(IntegrityError, match=f"{name} in bright_patch (is a|holds)"):
            load_package(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"N.B. the model was trained on one hospital's images.\n",
        b"copyright the authors\n2026\nResearch only.\n",
        b"class names\nlung opacity\nR\n",
        b"I. Introduction\n",
        b"]",
        b"{}\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0",
        json.dumps({"a": [1, 2, {"b": "c"}]}).encode(),
    ],
)
def test_what_is_no_code_is_left_alone(content: bytes) -> None:
    assert code_in(io.BytesIO(content)) == ""


def test_no_file_of_candor_itself_looks_like_code() -> None:
    root = Path(__file__).parents[4]
    files = [p for room in ("models", "docs", "core", "datasets") for p in (root / room).rglob("*") if p.is_file()]
    sources = [path for path in files if "__pycache__" not in path.parts]
    assert len(sources) > 100
    assert [path for path in sources if code_in(io.BytesIO(path.read_bytes()))] == []


def test_a_plain_array_is_no_code() -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    stream.seek(0)
    assert code_in(stream) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("configs/inference.json", "{\"device\": \"$__import__('os').system('id')\"}"),
        ("configs/inference.json", '{"network": {"_target_": "os.system", "command": "id"}}'),
        ("configs/inference.json", '{"list": [{"deep": ["  $1 + 1"]}]}'),
        ("configs/inference.json", '{"not quite": "JSON", "device": "$print()",}'),
        ("configs/train.yaml", "device: $torch.device('cpu')\n"),
        ("configs/train.yml", "list:\n  - '$print(1)'\n"),
        ("configs/train.yaml", "network:\n  _target_: DenseNet121\n"),
        ("anywhere.json", '{"device": "$print()"}'),
    ],
)
def test_an_expression_in_an_unsigned_config_is_refused(tmp_path: Path, name: str, text: str) -> None:
    folder = make_known_model(tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(IntegrityError, match="MONAI would run; such a config is taken only from a trusted maker"):
        load_package(folder)


def test_a_config_without_code_is_taken(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "configs" / "inference.json").write_text('{"$schema": "x", "price": "10 $", "size": 224}')
    (folder / "configs" / "inference.yaml").write_text("size: 224\nname: bright\n")
    assert load_package(folder).files.keys() >= {"configs/inference.json", "configs/inference.yaml"}


def test_a_link_is_refused(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "configs" / "passwords.json").symlink_to("/etc/hostname")
    with pytest.raises(IntegrityError, match="not a plain file"):
        load_package(folder)


def test_every_change_of_a_file_has_a_name(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    before = files_of(folder)
    (folder / "added.txt").write_text("new")
    (folder / "configs" / "metadata.json").unlink()
    (folder / "candor.json").write_bytes((folder / "candor.json").read_bytes() + b" ")
    assert differences(before, files_of(folder)) == [
        "added.txt was added", "candor.json was changed", "configs/metadata.json is missing",
    ]  # fmt: skip


def test_the_list_that_is_signed_depends_on_every_file_and_not_on_their_order() -> None:
    files = {"b": "2", "a": "1"}
    assert canonical(files) == canonical(dict(sorted(files.items()))) == canonical({**files, "signature.json": "3"})
    assert canonical(files) != canonical({**files, "a": "2"})


def test_the_shipped_weights_are_no_code() -> None:
    assert load_package(ZOO / "chest_radiograph").files
