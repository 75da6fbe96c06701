"""A run is a function of its seed, an interrupted run ends like an uninterrupted one, and what is exported is exact."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

torch = pytest.importorskip("torch", reason="torch is needed to train")
pytest.importorskip("efficientnet_lite_pytorch", reason="the backbone comes with the extra `train`")

from datasets.chest.nih_chest import Box, Target  # noqa: E402
from models.examples import box_mask, read_pixels  # noqa: E402
from models.training.chest.export import export  # noqa: E402
from models.training.chest.network import ChestNetwork  # noqa: E402
from models.training.chest.train import Batch, Pool, Recipe, mixed, predict, rate_at, size_at, train  # noqa: E402

RECIPE = Recipe(findings=("bright", "dark"), cycles=(2, 2), batch=4, sizes=(32, 64), checkpoint_every=2)
ONE_CYCLE = replace(RECIPE, cycles=(4,))


@dataclass(frozen=True)
class Synthetic:
    """An image of noise, with a bright square when `bright` is true; fits `models.examples.Example`."""

    path: Path
    targets: dict[str, Target]
    boxes: tuple[Box, ...] = ()
    name: str = "synthetic"
    tier: int = 64
    patient: str = "1"
    age_years: int = 50
    sex: str = "F"
    view: str = "PA"
    split: str = "train"
    rsna_class: str = field(default="")
    source: str = "made up"

    def read(self) -> NDArray[np.uint8]:
        return read_pixels(self.path)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Synthetic]:
    monkeypatch.setattr("models.training.chest.train._draw_weight", lambda example: 1.0)
    random = np.random.default_rng(1)
    made = []
    for index in range(8):
        pixels = random.integers(0, 120, (64, 64), np.uint8)
        bright = index % 2 == 0
        if bright:
            pixels[16:40, 16:40] = 240
        path = tmp_path / f"{index}.png"
        PillowImage.fromarray(pixels).save(path)
        targets = {"bright": Target(float(bright), 1.0, "radiologists"), "dark": Target(0.0, 0.0, "unknown")}
        boxes = (Box("bright", 0.25, 0.25, 0.375, 0.375, "test"),) if bright else ()
        made.append(Synthetic(path, targets, boxes))
    return made


def same(one: ChestNetwork, other: ChestNetwork) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_seed_gives_the_same_network_even_when_interrupted(examples: list[Synthetic], tmp_path: Path) -> None:
    whole = train(examples, RECIPE, tmp_path / "whole")

    def interrupt(_what: str, done: int, _total: int, _note: str = "") -> None:
        if done == 3:  # one step after the checkpoint: that step is done again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(examples, RECIPE, tmp_path / "parts", interrupt)
    assert same(whole, train(examples, RECIPE, tmp_path / "parts"))


def test_a_batch_depends_on_seed_and_step_alone(examples: list[Synthetic]) -> None:
    pool = Pool(examples, ONE_CYCLE)
    pool.batch(0)
    assert torch.equal(pool.batch(3).images, Pool(examples, ONE_CYCLE).batch(3).images)
    assert not torch.equal(pool.batch(3).images, pool.batch(2).images)
    images = pool.batch(1).images
    assert images.shape == (4, 1, 32, 32)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


def test_what_no_reader_mentions_teaches_nothing(examples: list[Synthetic], tmp_path: Path) -> None:
    trained = train(examples, ONE_CYCLE, tmp_path / "run")
    torch.manual_seed(ONE_CYCLE.seed)
    untouched = ChestNetwork(2)
    unknown = trained.head.weight[1] / untouched.head.weight[1]
    # only weight decay, the same factor everywhere, moved the head of the finding that is always unknown
    assert float(unknown.detach().std()) < 1e-3
    assert float((trained.head.weight[0] - untouched.head.weight[0]).detach().abs().max()) > 1e-4


def test_the_exported_map_adds_up_to_the_score_at_any_size(examples: list[Synthetic], tmp_path: Path) -> None:
    import onnxruntime

    torch.manual_seed(3)
    network = ChestNetwork(2).eval()
    path = tmp_path / "models" / "model.onnx"
    assert max(export(network, size=64, chosen=[1], path=path).values()) <= 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = read_pixels(examples[0].path).astype(np.float32)[None, None] / 255
    logits, maps = session.run(["logits", "class_activation"], {"image": image})
    expected, _ = predict(network, [read_pixels(examples[0].path)], 64)
    assert logits.shape == (1, 1)
    assert np.abs(maps.mean((2, 3)) - logits).max() <= 1e-5
    assert logits[0, 0] == pytest.approx(expected[0, 1], abs=1e-4)


def test_every_cycle_starts_small_and_ends_large() -> None:
    recipe = Recipe(findings=(), cycles=(100, 200), sizes=(192, 224))
    assert [size_at(recipe, step) for step in (0, 99, 100, 199, 200, 299)] == [192, 224, 192, 192, 224, 224]
    assert rate_at(recipe, 99) < 0.02 < rate_at(recipe, 110)


def test_a_small_box_still_has_a_cell() -> None:
    mask = box_mask((Box("bright", 0.5, 0.5, 0.001, 0.001, "test"),), "bright", 16)
    assert mask.sum() == 1
    assert mask[8, 8] == 1


def test_from_the_second_cycle_on_the_network_softens_what_no_radiologist_said(examples: list[Synthetic]) -> None:
    mined = [replace(e, targets={**e.targets, "dark": Target(1.0, 1.0, "text-mined")}) for e in examples[:4]]
    pool = Pool([*mined, *examples[4:]], RECIPE)
    pool.soften(ChestNetwork(2, pretrained=False).eval())
    said = (pool.values[:4, 1] - 0.6) / 0.4
    assert ((said > 0) & (said < 1)).all()
    assert torch.equal(pool.values[:, 0], pool.labels[:, 0])  # radiologists are not corrected
    assert torch.equal(pool.weights[4:, 1], torch.full((4,), RECIPE.self_teaching_weight))  # unknown before


def test_mixup_leaves_boxed_images_alone_and_keeps_the_loss_between_both() -> None:
    batch = Batch(
        torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1).expand(3, 1, 32, 32),
        torch.tensor([[1.0], [0.0], [1.0]]),
        torch.tensor([[1.0], [0.5], [1.0]]),
        torch.zeros(3, 1, 32, 32),
        torch.tensor([-1, -1, 0]),
    )
    found = mixed(batch, 0.4, seed=3)
    share = float(2 - found.images[0, 0, 0, 0])  # of image 0 in itself
    assert 0 < share < 1
    assert float(found.images[1, 0, 0, 0]) == pytest.approx(1 + share)
    assert torch.equal(found.images[2], batch.images[2])
    assert found.targets[2] == 1
    assert float(found.weights[0]) == pytest.approx(share + 0.5 * (1 - share))
    assert float(found.weights[0] * found.targets[0]) == pytest.approx(share)
