"""A model package loads only if it is whole, is what it says it is, and holds no code."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import ConfigurationError, IntegrityError
from models.package.format import device_uid, load_package, sha256_of
from models.registry import ZOO, Records, load_registry
from models.runtimes.onnx import OnnxModel
from tests.known_model import make_known_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_known_model(tmp_path)


def test_a_whole_package_loads_and_names_itself(folder: Path) -> None:
    package = load_package(folder)
    assert package.model.sha256 == sha256_of(folder / "models" / "model.onnx")
    assert package.model.device_uid == device_uid(package.model.name, package.model.version, package.model.sha256)
    assert package.model.device_uid.startswith("2.25.")
    assert len(package.model.device_uid) <= 64


def test_a_flipped_byte_refuses_the_weights_and_no_other_package(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    weights = folder / "models" / "model.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match="not those it was published with"):
        load_package(folder)
    assert load_package(other).model.name == "bright_patch"


def test_weights_swapped_after_verification_are_not_run(folder: Path) -> None:
    package = load_package(folder)
    package.weights.write_bytes(package.weights.read_bytes() + b"\0")
    with pytest.raises(IntegrityError):
        OnnxModel.load(package, threads=1)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt"])
def test_a_pickle_in_a_package_is_refused(folder: Path, suffix: str) -> None:
    (folder / "models" / f"model{suffix}").write_bytes(b"\x80\x04N.")
    with pytest.raises(IntegrityError, match="pickle"):
        load_package(folder)


def test_a_missing_or_broken_description_is_a_configuration_error(folder: Path) -> None:
    description = json.loads((folder / "candor.json").read_text())
    del description["accepts"]
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError, match="not a model description"):
        load_package(folder)
    (folder / "candor.json").write_text("{")
    with pytest.raises(ConfigurationError):
        load_package(folder)
    (folder / "candor.json").unlink()
    with pytest.raises(ConfigurationError):
        load_package(folder)


@pytest.mark.parametrize("text", ["null", "5", "[1]", '[["name", "x"]]', '"text"', "[" * 100_000, '{"a":' * 100_000])
def test_a_description_that_is_no_object_refuses_its_package(folder: Path, text: str) -> None:
    (folder / "candor.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"candor\.json cannot be read"):
        load_package(folder)


def test_a_package_with_a_bad_description_stops_nothing(tmp_path: Path) -> None:
    (make_known_model(tmp_path / "models") / "candor.json").write_text("null")
    registry = load_registry(Records(models_folder=tmp_path / "models"))
    assert [refused.folder.name for refused in registry.refused] == ["bright_patch"]
    assert registry.packages


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -0.1, 1.1, "high", None, pytest.param(10**400, id="beyond float")]
)
@pytest.mark.parametrize("name", ["threshold", "sensitivity", "specificity"])
def test_an_operating_point_is_made_of_numbers(folder: Path, name: str, value: object) -> None:
    description = json.loads((folder / "candor.json").read_text())
    description["findings"][0]["operating_point"][name] = value
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError, match="not a model description"):
        load_package(folder)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("calibration", "scale", math.nan),
        ("calibration", "shift", math.inf),
        ("calibration", "shift", "none"),
        ("accepts", "minimum_age_years", math.nan),
        ("accepts", "maximum_age_years", "eighty"),
        ("input", "network_size", math.inf),
    ],
)
def test_the_limits_that_a_study_is_checked_with_are_numbers(
    folder: Path, section: str, name: str, value: object
) -> None:
    description = json.loads((folder / "candor.json").read_text())
    place = description["findings"][0] if section == "calibration" else description
    place[section][name] = value
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError, match="not a model description"):
        load_package(folder)


def test_bytes_that_are_no_model_are_a_configuration_error(folder: Path) -> None:
    weights = folder / "models" / "model.onnx"
    weights.write_bytes(b"not a model")
    description = json.loads((folder / "candor.json").read_text())
    description["sha256"] = sha256_of(weights)
    (folder / "candor.json").write_text(json.dumps(description))
    with pytest.raises(ConfigurationError, match="no ONNX model"):
        OnnxModel.load(load_package(folder), threads=1)


def test_the_registry_names_what_is_installed_when_asked_for_something_else() -> None:
    registry = load_registry()
    version = registry.find("chest_radiograph").model.version
    assert registry.find("chest_radiograph", version).folder == ZOO / "chest_radiograph"
    with pytest.raises(ConfigurationError, match=f"chest_radiograph {version}"):
        registry.find("chest_radiograph", "9.9.9")


def test_models_import_neither_torch_nor_monai() -> None:
    program = (
        "import sys, models, models.package.format, models.registry, models.runtimes.onnx; "
        "sys.exit(bool({'torch', 'monai'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[4]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False, timeout=120).returncode == 0


def test_every_shipped_package_is_complete() -> None:
    packages = load_registry().packages
    assert not load_registry().refused
    assert "chest_radiograph" in [package.model.name for package in packages]
    for package in packages:
        model = OnnxModel.load(package, threads=1)
        images = np.random.default_rng(3).random((2, 1, 300, 300), np.float32)
        logits, maps = model.predict(images)
        assert maps is not None
        assert np.abs(maps.mean((2, 3)) - logits).max() <= 1e-5
        assert package.weights.stat().st_size < 25_000_000


def test_every_shipped_finding_has_a_code_and_an_operating_point_with_intervals() -> None:
    for finding in load_package(ZOO / "chest_radiograph").model.findings:
        point = finding.operating_point
        assert len(finding.code.meaning) <= 64
        assert finding.code.scheme in {"SCT", "DCM", "RADLEX"}
        assert point.sensitivity_interval is not None
        assert point.sensitivity_interval[0] <= point.sensitivity <= point.sensitivity_interval[1]
        assert 0 < point.threshold < 1


def test_the_bundle_metadata_has_what_monai_asks_for() -> None:
    metadata = json.loads((ZOO / "chest_radiograph" / "configs" / "metadata.json").read_text())
    required = {
        "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version",
        "task", "description", "authors", "copyright", "network_data_format",
    }  # fmt: skip
    assert required <= set(metadata)
    for side in ("inputs", "outputs"):
        for tensor in metadata["network_data_format"][side].values():
            assert {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data",
                    "channel_def"} <= set(tensor)  # fmt: skip
            assert len(tensor["channel_def"]) == tensor["num_channels"]
    assert metadata["version"] in metadata["changelog"]
