"""The recipe of the quality check: repeatable, and a package that it made loads and refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from core.errors import ConfigurationError, IntegrityError
from models.package.format import load_package
from models.training.quality import faults
from models.training.quality.package import (
    BUDGET,
    FIGURES,
    Material,
    adopt_quality_check,
    choose_thresholds,
    write_quality_check,
)
from models.training.quality.train import FAULTS, Pool, Recipe, train
from tests.known_model import make_known_model


@dataclass(frozen=True)
class Picture:
    """As much of a data set's example as the recipe looks at."""

    name: str
    path: Path
    tier: int
    split: str
    age_years: int = 50
    sex: str = "F"
    view: str = "PA"
    patient: str = ""
    rsna_class: str = ""
    targets: dict = field(default_factory=dict)
    boxes: tuple = ()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Picture]:
    """Two dark lungs on grey, at both tiers and on every side of the split, of adults and children."""
    folder, random, made = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1), []
    for split in ("train", "validation", "test"):
        for tier in (128, 512):
            for age in (50, 50, 50, 5):
                image = random.normal(150, 6, (tier, tier))
                image[tier // 5 : tier * 3 // 4, tier // 6 : tier * 4 // 10] -= 100
                image[tier // 5 : tier * 2 // 3, tier * 6 // 10 : tier * 5 // 6] -= 100
                path = folder / f"{len(made)}.png"
                PillowImage.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)
                made.append(Picture(path.name, path, tier, split, age, patient=path.name))
    return made


SHORT = Recipe(steps=12, batch=8, familiar_images=120)


@pytest.fixture(scope="module")
def trained(pictures):
    return train(pictures, pictures[3:4], SHORT)


@pytest.fixture(scope="module")
def written(tmp_path_factory, trained, pictures):
    folder = make_known_model(tmp_path_factory.mktemp("written"))
    unrelated = {"noise": [np.random.default_rng(0).random((200, 160), np.float32)]}
    write_quality_check(
        *trained, SHORT, Material(examples=pictures, children=pictures[3:4], unrelated=unrelated), folder
    )
    return folder


@pytest.fixture
def package(tmp_path, written):
    return shutil.copytree(written, tmp_path / "package")


def test_a_batch_follows_from_seed_and_step_alone(pictures):
    pool = Pool(pictures, pictures[3:4], SHORT)
    pool.batch(3)
    first, again = pool.batch(5), Pool(pictures, pictures[3:4], SHORT).batch(5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.images, pool.batch(6).images)
    assert first.images.shape == (8, 1, 96, 96)
    assert 0 <= float(first.images.min()) <= float(first.images.max()) <= 1


def test_the_same_seed_trains_the_same_weights(pictures, trained):
    again, _ = train(pictures, pictures[3:4], SHORT)
    for a, b in zip(trained[0].state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_quarter_turn_is_a_quarter_turn():
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    turned = faults.warped(image, faults.placed(degrees=90, zoom=(1, 1)), 64, "zeros")
    ways = [float((turned - torch.rot90(image, turns, (-2, -1))).abs().max()) for turns in (1, 3)]
    assert min(ways) < 1e-4
    assert max(ways) > 0.1


def test_exchanged_greys_are_those_of_the_other_image_in_the_old_order():
    random = torch.Generator().manual_seed(2)
    image, other = torch.rand(1, 1, 20, 20, generator=random), torch.rand(1, 1, 20, 20, generator=random) ** 3
    exchanged = faults.with_greys_of(image, other)
    assert torch.equal(exchanged.flatten().sort().values, other.flatten().sort().values)
    assert torch.equal(exchanged.flatten().argsort(), image.flatten().argsort())


def test_all_faults_together_stay_within_the_budget_in_every_tier():
    random = np.random.default_rng(3)
    tiers = {512: random.random((400, 3)), 128: random.random((900, 3)) ** 0.5}
    limits = choose_thresholds(tiers, ("rotated", "child", "unlike_features"))
    refused = [np.any(scores > np.array(list(limits.values())), axis=1).mean() for scores in tiers.values()]
    assert 0 < max(refused) <= BUDGET
    sure = {512: np.full((50, 1), 0.01)}
    assert choose_thresholds(sure, ("rotated",)) == {"rotated": 0.25}  # no image is refused on a mere hint


def test_the_package_loads_with_the_gate_and_the_figures_are_of_it(package):
    check, figures = load_package(package).quality, json.loads((package / FIGURES).read_text())
    assert check is not None
    assert figures["gate"]["sha256"] == check.sha256
    assert [fault.name for fault in check.faults] == [*FAULTS, "unlike_features", "unlike_thumbnail"]
    assert figures["false_refusals"]["512"]["all"]["images"] == 3
    assert {row["fault"] for row in figures["caught"]} == set(FAULTS)


def test_a_retrained_model_goes_on_with_the_check(package, tmp_path):
    other = make_known_model(tmp_path / "other")
    adopt_quality_check(package, other)
    assert load_package(other).quality == dataclasses.replace(
        load_package(package).quality, weights=other / "models" / "quality.onnx"
    )
    description = json.loads((other / "candor.json").read_text())
    del description["quality"]
    (other / "candor.json").write_text(json.dumps(description))
    adopt_quality_check(other, other)  # after candor.json was written again
    assert load_package(other).quality is not None


def test_a_gate_without_figures_or_with_those_of_another_is_not_adopted(package, tmp_path):
    with pytest.raises(ConfigurationError):
        adopt_quality_check(make_known_model(tmp_path / "bare"), package)
    swapped = shutil.copytree(package, tmp_path / "swapped")
    (swapped / "models" / "quality.onnx").write_bytes(b"another")
    with pytest.raises(IntegrityError):
        adopt_quality_check(swapped, package)
