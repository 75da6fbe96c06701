"""What a model says is a prediction only where it is a number."""

import dataclasses

import numpy as np
import pytest

from core.domain.input import ModelInput
from core.domain.study import Image
from core.errors import InvalidStudy
from inference.run import infer
from models.package.format import load_package
from models.runtimes.onnx import OnnxModel
from tests.known_model import make_known_model
from tests.unit.inference.test_select import image as instance

WHAT = ModelInput.of(instance())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return OnnxModel.load(load_package(make_known_model(tmp_path_factory.mktemp("models"))), threads=1)


def image(value):
    pixels = np.full((64, 64), 0.25, np.float32)
    pixels[16:32, 16:32] = value
    return Image(pixels=pixels)


def test_a_bright_patch_gets_a_finite_score_and_probability(model):
    prediction = infer(model, WHAT, [image(1.0)])
    assert prediction.maps is not None
    assert np.isfinite(prediction.maps).all()
    assert 0.0 < prediction.probabilities["bright_patch"] <= 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_not_taken_for_no_finding(model, value):
    with np.errstate(invalid="ignore"), pytest.raises(InvalidStudy, match="not a number"):
        infer(model, WHAT, [image(value)])


def test_also_without_a_map(model):
    package = dataclasses.replace(model.package, maps_name="")
    scores_only = OnnxModel(package=package, session=model.session)
    assert infer(scores_only, WHAT, [image(1.0)]).maps is None
    with np.errstate(invalid="ignore"), pytest.raises(InvalidStudy, match="not a number"):
        infer(scores_only, WHAT, [image(np.nan)])
