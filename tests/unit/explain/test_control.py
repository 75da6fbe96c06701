"""The negative control: a head on frozen ImageNet features scores better than chance, and its maps must not pass."""

import json
import os
from pathlib import Path

import pytest

from datasets.chest import nih_chest
from explain.gate.result import LOCALISATION
from explain.gate.run import run
from models.package.format import load_package, sha256_of
from models.registry import ZOO
from models.training.chest.control import frozen_control
from models.training.chest.export import export
from pipeline.registration.map_gate import held_out_set

SHARED = Path(os.environ.get("CANDOR_SHARED", Path(__file__).parents[4] / "shared"))
DATA = SHARED / "data" / "nih_chest"
SIDE = 224
SCALE = 16.0
OPACITY = "lung_opacity"


def control_package(folder, examples):
    """The control as a package of its own: its weights, and what the shipped package says of that finding."""
    network = frozen_control(examples, OPACITY, SIDE)
    network.head.weight.data /= SCALE  # export compares absolutely, and its scores are large
    network.head.bias.data /= SCALE
    export(network, size=SIDE, chosen=[0], path=folder / "models" / "model.onnx")
    description = json.loads((ZOO / "chest_radiograph" / "candor.json").read_text(encoding="utf-8"))
    (finding,) = (finding for finding in description["findings"] if finding["name"] == OPACITY)
    finding["calibration"] = {"scale": SCALE, "shift": 0.0}
    finding["operating_point"]["threshold"] = 0.5
    description |= {"name": "control", "findings": [finding], "sha256": sha256_of(folder / "models" / "model.onnx")}
    description["input"]["network_size"] = SIDE
    description.pop("quality", None)
    (folder / "candor.json").write_text(json.dumps(description), encoding="utf-8")
    (folder / "configs").mkdir()
    (folder / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
    return load_package(folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not DATA.exists(), reason="the NIH subset is not here (../shared/data/nih_chest or CANDOR_SHARED)")
def test_the_frozen_feature_control_fails_the_gate(tmp_path):
    examples = nih_chest.load(DATA)
    spoken = [
        e for e in examples if e.split == "train" and e.tier == 512 and e.targets[OPACITY].source == "radiologists"
    ]
    result = run(control_package(tmp_path / "control", spoken), held_out_set(examples, SIDE, 20))
    assert not result.passed
    assert LOCALISATION in result.failed, [test.words for test in result.tests]
