"""A series is a volume when its slices are an even stack, whatever order they come in."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.input import ModelInput
from inference.volumes import volume_of
from models.package.described_input import InputDescription
from models.package.description import InputSection
from tests.unit.inference.test_select import image

ANY = InputDescription(kind="volume", window=(-1000.0, 400.0))
AXIAL, CORONAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def stack(count=8, step=2.5, orientation=AXIAL, **changes):
    normal = np.cross(orientation[:3], orientation[3:])
    return [
        image(
            number,
            modality="CT",
            image_position_patient=tuple(-10.0 + number * step * normal),
            image_orientation_patient=orientation,
            pixel_spacing=(0.5, 0.75),
            frame_of_reference_uid="1.9",
            **changes,
        )
        for number in range(count)
    ]


@given(st.integers(3, 12), st.sampled_from([AXIAL, CORONAL]), st.floats(0.05, 20.0), st.randoms())
def test_the_order_is_that_of_the_positions(count, orientation, step, chance):
    slices = stack(count, step, orientation)
    shuffled = chance.sample(slices, count)
    found = volume_of(shuffled, ANY)
    assert isinstance(found, ModelInput)
    assert list(found.instances) == slices
    assert found.geometry.slices == count
    assert found.geometry.spacing == pytest.approx((step, 0.5, 0.75))
    assert found.geometry.origin == slices[0].image_position_patient
    assert found.key == volume_of(slices, ANY).key


def moved(slices, number, position):
    return [replace(s, image_position_patient=position) if n == number else s for n, s in enumerate(slices)]


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        (stack(2), "has 2 slices"),
        (stack()[:3] + stack()[4:], "not evenly spaced"),
        (moved(stack(), 3, stack()[4].image_position_patient), "at the same place"),
        ([replace(s, image_position_patient=()) for s in stack()], "does not say where it is"),
        ([*stack()[:-1], replace(stack()[-1], rows=64)], "differ in their matrix"),
        ([*stack()[:-1], replace(stack()[-1], pixel_spacing=(1.0, 1.0))], "differ in their pixel spacing"),
        ([*stack()[:-1], replace(stack()[-1], frame_of_reference_uid="1.8")], "differ in their Frame of Reference"),
        ([*stack()[:-1], replace(stack()[-1], image_orientation_patient=CORONAL)], "differ in their orientation"),
        (
            [replace(s, image_position_patient=(0.0, 0.2 * n, 2.5 * n)) for n, s in enumerate(stack())],
            "tilted",
        ),
    ],
)
def test_what_is_no_even_stack_is_refused_with_the_reason(slices, words):
    reason = volume_of(random.Random(1).sample(slices, len(slices)), ANY)
    assert isinstance(reason, str)
    assert words in reason


def test_a_model_of_so_many_slices_takes_no_others():
    assert volume_of(stack(7), replace(ANY, slices=8)) == "the model takes 8 slices, and the series has 7"


def test_inputs_of_other_images_in_another_order_or_prepared_otherwise_have_other_keys():
    one, other = image(1), image(2)
    geometry = ModelInput.of(one).geometry
    made = [
        ModelInput.of(one),
        ModelInput.of(other),
        ModelInput.of(one, "otherwise"),
        ModelInput(instances=(one, other), geometry=geometry),
        ModelInput(instances=(other, one), geometry=geometry),
        ModelInput(instances=(one, other), geometry=geometry, roles={"T1": slice(0, 1)}),
    ]
    assert len({what.key for what in made}) == len(made)
    assert ModelInput.of(replace(one, rows=9)).key == made[0].key, "the header is not what it is made of"


def described_input(section):
    return InputSection.model_validate_json(json.dumps(section)).described()


def test_a_version_that_declares_another_range_is_prepared_otherwise():
    plain = described_input({"name": "image"})
    assert plain == described_input({"name": "other", "range": [0, 1], "network_size": 224})
    ranges = [described_input({"name": "image", "range": [low, 1]}).prepared_as for low in (0, -1)]
    assert ranges[0] == plain.prepared_as != ranges[1]


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "sequence"},
        {"kind": "volume"},
        {"kind": "volume", "window": [400, -1000]},
        {"kind": "volume", "window": [0, 1], "slices": 2},
        {"range": [1, 1]},
    ],
)
def test_a_description_that_says_nothing_sensible_is_refused(section):
    with pytest.raises(ValueError, match=r"InputSection"):
        described_input({"name": "image", **section})
