"""The map of a finding comes back in source pixels, whatever the sign of its activations."""

import numpy as np
import pytest

from core.domain.code import Code
from core.domain.input import ModelInput
from core.domain.model import FindingDefinition, ModelVersion, OperatingPoint, Prediction
from core.geometry import SquareFrame
from explain.maps.class_activation import MASK_LEVEL
from explain.maps.class_activation import explain as explain_input
from tests.unit.inference.test_select import image

WHAT = ModelInput.of(image())


def explain(of, finding_name):
    (saliency,) = explain_input(of, WHAT, finding_name)
    return saliency


def prediction(maps, rows=120, columns=80):
    point = OperatingPoint(threshold=0.1, sensitivity=0.9, specificity=0.9)
    findings = tuple(
        FindingDefinition(name=f"f{i}", code=Code(value="1", scheme="99T", meaning="x"), operating_point=point)
        for i in range(len(maps))
    )
    model = ModelVersion(name="m", version="1", sha256="0", manufacturer="t", device_uid="2.25.1", findings=findings)
    return Prediction(
        model=model,
        input_key="",
        scores={f.name: 0.0 for f in findings},
        probabilities={f.name: 0.2 for f in findings},
        frame=SquareFrame.of(rows, columns),
        maps=np.asarray(maps, np.float32),
    )


@pytest.mark.parametrize("offset", [0.0, -50.0], ids=["positive activations", "negative activations"])
def test_the_peak_of_the_map_is_where_the_activation_is(offset):
    activation = np.full((12, 12), offset, np.float32)
    activation[3, 5] += 4.0
    saliency = explain(prediction([activation]), "f0")
    assert saliency.shown
    assert saliency.values.shape == saliency.mask.shape == (120, 80)
    row, column = np.unravel_index(saliency.values.argmax(), saliency.values.shape)
    assert row == pytest.approx(35, abs=6)  # cell 3 of 12 over 120 rows
    assert column == pytest.approx(35, abs=6)  # cell 5 of 12 over 120 columns, of which 20 are padding
    assert (saliency.mask == (saliency.values >= MASK_LEVEL)).all()
    assert saliency.regions


def test_each_finding_gets_its_own_map():
    first, second = np.zeros((2, 8, 8), np.float32)
    first[1, 4], second[6, 4] = 1.0, 1.0
    both = prediction([first, second], 64, 64)
    rows = [np.unravel_index(explain(both, name).values.argmax(), (64, 64))[0] for name in ("f0", "f1")]
    assert rows[0] < 24 < 40 < rows[1]


def test_a_flat_map_is_withheld_and_says_why():
    saliency = explain(prediction([np.full((8, 8), 3.0, np.float32)]), "f0")
    assert not saliency.shown
    assert "flat" in saliency.withheld_reason


def test_a_model_without_maps_has_no_saliency():
    bare = prediction([np.zeros((4, 4))])
    without = Prediction(
        model=bare.model, input_key="", scores=bare.scores, probabilities=bare.probabilities, frame=bare.frame
    )
    assert explain_input(without, WHAT, "f0") == ()
