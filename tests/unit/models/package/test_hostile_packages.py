"""Packages that were made to do harm: each is refused with a reason, and none stops another."""

from __future__ import annotations

import io
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from onnx.external_data_helper import set_external_data

from core.errors import CandorError, ConfigurationError, IntegrityError
from core.store.store import open_store
from core.wording import on_a_terminal
from models.package.contents import code_in
from models.package.format import load_package, sha256_of
from pipeline.data_folder import make_data_folder
from pipeline.reading.loaded_models import LoadedModels
from pipeline.registration.registration import register
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check

TEXT = b"Intended for research only, and not a medical device.\n" * 60_000  # 3 MB


class Exploit:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("before", [TEXT, b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"1" * 7, TEXT + b"\x80\x04."])
def test_a_pickle_behind_anything_is_found(protocol: int, before: bytes) -> None:
    assert "pickle" in code_in(io.BytesIO(before + pickle.dumps(Exploit(), protocol)))
    assert "pickle" in code_in(io.BytesIO(before + pickle.dumps(Exploit(), protocol) + TEXT))


def test_text_and_weights_are_no_pickle() -> None:
    assert code_in(io.BytesIO(TEXT)) == ""
    assert code_in(io.BytesIO(b"classes:\ncat\ndog\n.\nR.\n" * 1000)) == ""


def test_a_file_that_is_made_to_take_long_takes_seconds() -> None:
    before = time.monotonic()
    assert "pickle" in code_in(io.BytesIO(b"x" + b"icicicicicici\n" * 200_000))
    assert time.monotonic() - before < 20


CONFIGS = {
    "escaped expression.yaml": 'device: "\\x24print()"\n',
    "escaped target.yaml": '"\\x5ftarget_": os.system\n',
    "merged.yaml": 'base: &base {"\\u005ftarget_": "os.system"}\nnetwork:\n  <<: *base\n  command: id\n',
    "tag.yaml": "x: !!python/object/apply:os.system [id]\n",
    "own tag.yaml": "x: !target os.system\n",
    "block.yaml": "x: >-\n  $print()\n",
    "second document.yaml": "a: 1\n---\nb: ['$print()']\n",
    "complex key.yaml": "? ['$print()']\n: 1\n",
    "deep.yaml": "[" * 3_000 + "]" * 3_000,
    "flow.yml": "a: {b: [c, {d: $print()}]}\n",
    "unquoted.yaml": "a: $print()\n",
    "another file.yaml": "a: '%other.yaml::x'\n",
    "no yaml.yaml": "a: [\n",
    "twice.json": '{"a": "$print()", "a": 1}',
    "escaped.json": '{"a": "\\u0024print()"}',
    "escaped target.json": '{"\\u005ftarget_": "os.system"}',
    "deep.json": "[" * 100_000 + "]" * 100_000,
    "deep objects.json": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "rather deep.json": "[" * 150 + "]" * 150,
    "not quite.json": '{"a": "\\u0024print()",}',
    "with a mark.json": '\ufeff{"a": "$print()"}',
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_judged_by_what_a_parser_makes_of_it(tmp_path: Path, name: str) -> None:
    folder = make_known_model(tmp_path)
    (folder / "configs" / name).write_text(CONFIGS[name])
    with pytest.raises(IntegrityError, match="such a config is taken only from a trusted maker"):
        load_package(folder)


@pytest.mark.parametrize(
    "text",
    ["a: &x {b: 1}\nc: *x\n", "base: &b {a: 1}\nd:\n  <<: *b\n", "when: 2026-11-02\nprice: 10 $\n", "", "- 1\n- ~\n"],
)
def test_a_config_without_code_is_taken_however_it_is_written(tmp_path: Path, text: str) -> None:
    folder = make_known_model(tmp_path)
    (folder / "configs" / "x.yaml").write_text(text)
    load_package(folder)


def described(folder: Path, change: Callable[[dict], object]) -> Path:
    path = folder / "candor.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))
    return folder


NAMES = [
    "../../x",
    "<script>",
    "a" * 65,
    "",
    "Effusion",
    "effusion left",
    "a/b",
    "=cmd",
    "\x1b[31m",
    "1st",
    "eff\u00fcsion",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_finding_matches_a_pattern(tmp_path: Path, name: str) -> None:
    folder = described(make_known_model(tmp_path), lambda d: d["findings"][0].update(name=name))
    with pytest.raises(ConfigurationError, match=r"findings\[0\]\.name") as refused:
        load_package(folder)
    assert "\x1b" not in str(refused.value)


FAULTS: dict[str, Callable[[dict], object]] = {
    "code.value": lambda d: d["findings"][0]["code"].update(value=None),
    "code.scheme": lambda d: d["findings"][0]["code"].update(scheme="S" * 100_000),
    "code.meaning": lambda d: d["findings"][0]["code"].update(meaning=""),
    "intended_use": lambda d: d.update(intended_use=["research"]),
    "manufacturer": lambda d: d.update(manufacturer="M" * 65),
    "not_for": lambda d: d.update(not_for=["\x1b[2J"]),
    "findings": lambda d: d.update(findings=[]),
    "two findings": lambda d: d.update(findings=d["findings"] * 2),
}


@pytest.mark.parametrize("place", FAULTS)
def test_what_a_worker_could_stumble_over_is_refused_by_the_schema(tmp_path: Path, place: str) -> None:
    folder = described(make_known_model(tmp_path), FAULTS[place])
    with pytest.raises(ConfigurationError, match=place):
        load_package(folder)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "candor.json").write_text('{"name": "x y", "findings": [{"name": "a"}], "input": {}}')
    with pytest.raises(ConfigurationError) as refused:
        load_package(folder)
    for place in (
        "name: ",
        "version",
        "sha256",
        "manufacturer",
        "accepts",
        "input.name",
        "outputs",
        "findings[0].code",
    ):
        assert place in str(refused.value), place


def test_a_deep_description_is_a_sentence(tmp_path: Path) -> None:
    folder = make_known_model(tmp_path)
    (folder / "candor.json").write_text('{"name":' + "[" * 100_000)
    with pytest.raises(ConfigurationError):
        load_package(folder)


def test_a_quality_check_with_weights_elsewhere_is_not_registered(tmp_path: Path) -> None:
    folder = add_known_quality_check(make_known_model(tmp_path))
    path = folder / "models" / "quality.onnx"
    model = onnx.load(path)
    tensor = TensorProto(name="away", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0\0\0\0")
    set_external_data(tensor, location="/etc/hostname")
    model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    described(folder, lambda d: d["quality"].update(sha256=sha256_of(path)))
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    try:
        with pytest.raises(CandorError, match="external data"):
            register(folder, settings, store, may_run_checks=False)
        assert store.models.records() == []
    finally:
        store.close()


def test_a_model_that_stops_at_its_start_keeps_no_other_from_running(tmp_path: Path) -> None:
    good = load_package(make_known_model(tmp_path / "1"))
    bad = load_package(make_known_model(tmp_path / "2", name="bad"))
    object.__setattr__(bad, "calibrations", None)
    object.__setattr__(bad, "logits_name", 7)  # no package can have it: as a surprise that no check knows
    held = LoadedModels((bad, good), 1)
    assert set(held.providers()) == {good.model.device_uid}


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\x07", "a\u202eb"])
def test_a_file_name_that_cannot_be_printed_is_refused_and_said_escaped(tmp_path: Path, name: str) -> None:
    folder = make_known_model(tmp_path)
    (folder / name).write_text("x")
    with pytest.raises(IntegrityError, match="has a name that cannot be printed") as refused:
        load_package(folder)
    assert str(refused.value).replace("\n", "").isprintable()
    assert on_a_terminal("\x1b[31m") == "\\x1b[31m"
