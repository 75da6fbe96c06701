"""A network that never saw an image, brought in by its maker as any other: it is never believed.

It is registered as a shadow, its maps are not judged, its figures are "not measured" on the console, in the SR and on
the picture, whatever its package claims.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from torch import nn

from datasets.demo.studies import FOLDER
from dicom_node.header.sr_text import render_text
from tests.e2e.house import environment
from tests.untrained import make_untrained

FINDINGS = ("pneumothorax", "effusion")
NOT_MEASURED = "Sensitivity and specificity: not measured."


def small(seed: int, times: float) -> nn.Module:
    """A few convolutions with random weights, each `times` as large as usual."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 8, 3, stride=4), nn.Conv2d(8, 16, 3, stride=4)
    last = nn.Linear(16, len(FINDINGS))
    with torch.no_grad():
        for layer in (first, second, last):
            layer.weight.mul_(times)
        last.bias.fill_(0.8 * times**3)  # whatever it is shown, it flags
        last.weight.abs_()
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def rows_alone(seed: int, times: float) -> nn.Module:
    """Another architecture: a linear model of the pixels."""
    torch.manual_seed(seed)
    last = nn.Linear(14 * 14, len(FINDINGS))
    with torch.no_grad():
        last.weight.abs_().mul_(times)
    return nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), last)


def candor(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "api", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported(network: nn.Module, file: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        example = (torch.zeros(1, 1, 224, 224),)
        torch.onnx.export(
            network.eval(), example, str(file), output_names=["y"], dynamic_axes={"y": {0: "n"}}, dynamo=False
        )
    return file


def as_a_maker_brings_it(folder: Path, network: nn.Module) -> None:
    exported(network, folder / "net.onnx")
    findings = [part for name in FINDINGS for part in ("--finding", name)]
    how = ("--activation", "sigmoid", "--black", "0", "--white", "1")
    candor(folder, "models", "new", "mynet", "--onnx", "net.onnx", *findings, *how)


def with_maps(folder: Path, seed: int) -> None:
    """As its maker wrote it by hand: maps, and a sensitivity of 0.99 without any patients."""
    package = make_untrained(folder / "made", seed=seed, names=FINDINGS)
    package.rename(folder / "mynet")
    description = folder / "mynet" / "candor.json"
    text = json.loads(description.read_text()) | {"name": "mynet"}
    for finding in text["findings"]:
        finding["operating_point"]["threshold"] = 0.01  # whatever it is shown, it flags
    description.write_text(json.dumps(text))


def results(folder: Path) -> dict[str, bytes]:
    """What it makes of the demo's opacity, by file name."""
    said = candor(
        folder, "analyze", str(FOLDER / "opacity.dcm"), "--model", "mynet", "--out", "out",
        "--objects", "sr,sc,sc-findings,seg,seg-fractional,gsps",
    )  # fmt: skip
    assert "flagged: pneumothorax" in said
    return {file.name: file.read_bytes() for file in (folder / "out").rglob("*.dcm")}


def is_written(words: str, part10: Path) -> bool:
    """Whether a line of words is on a picture, pixel by pixel."""
    shown = pydicom.dcmread(part10).pixel_array[..., 0]
    font = ImageFont.load_default(size=22)
    line = Picture.new("L", (760, 28))
    ImageDraw.Draw(line).text((12, 0), words, font=font, fill=200)
    wanted = np.asarray(line)
    return any(np.array_equal(shown[top : top + 28, :760], wanted) for top in range(len(shown) - 28))


def check_that_nothing_is_believed(folder: Path) -> dict[str, object]:
    """Register, list, show and read; returns what the registration said."""
    candor(folder, "init", "--data", "data")
    registered = json.loads(candor(folder, "models", "register", "mynet", "--data", "data", "--json"))
    assert registered["state"] == "shadow"
    rows = json.loads(candor(folder, "models", "list", "--data", "data", "--json"))
    assert {row["name"]: row["state"] for row in rows} == {"mynet": "shadow", "chest_radiograph": "live"}
    shown = candor(folder, "models", "show", "mynet", "--data", "data")
    assert shown.count("not measured") == 2 * len(FINDINGS)
    assert "0.99" not in shown

    made = results(folder)
    assert not [name for name in made if name.startswith(("seg", "gsps"))], "no map is drawn"
    report = render_text(made["sr.dcm"])
    assert report.count(NOT_MEASURED) == len(FINDINGS)
    for claim in ("Case Sensitivity", "Case Specificity", "Of 100", "0.99", "Image Region"):
        assert claim not in report
    (picture,) = (folder / "out").rglob("sc-findings-pneumothorax.dcm")
    assert is_written(NOT_MEASURED, picture)
    return registered


@pytest.mark.parametrize("network", [small(2, 30.0), rows_alone(1, 1.0)], ids=["times 30", "linear"])
@pytest.mark.timeout(600)
def test_an_untrained_network_is_never_believed(tmp_path: Path, network: nn.Module) -> None:
    as_a_maker_brings_it(tmp_path, network)
    registered = check_that_nothing_is_believed(tmp_path)
    assert "the model gives no maps" in json.dumps(registered)


@pytest.mark.timeout(600)
def test_its_maps_are_not_judged_on_demo_images_alone(tmp_path: Path) -> None:
    with_maps(tmp_path, seed=1)
    registered = check_that_nothing_is_believed(tmp_path)
    said = json.dumps(registered)
    assert "not judged" in said or "failed faithfulness" in said
    report = render_text(next((tmp_path / "out").rglob("sr.dcm")).read_bytes())
    assert "Map withheld because this model" in report
