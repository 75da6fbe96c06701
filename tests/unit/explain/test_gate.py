"""The gate lets no broken map through: each fails, and for the reason it should."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import ndimage

from core.documents.reading import text_of
from core.errors import ConfigurationError
from explain.gate import result as names
from explain.gate.document import GateTest, Verdict
from explain.gate.nouns import GateSet
from explain.gate.result import RESULT, GateResult, read_result, withheld_reason, write_result
from explain.gate.run import class_activation_maps, run
from explain.perturbation import sized
from models.package.format import load_package
from models.registry import ZOO
from models.runtimes.onnx_variants import randomised
from pipeline.registration.map_gate import drawn_set
from tests.known_model import make_known_model
from tests.untrained import make_untrained


@pytest.fixture(scope="module")
def package():
    return load_package(ZOO / "chest_radiograph")


@pytest.fixture(scope="module")
def drawn(package):
    whole = drawn_set(package.network_size or 224)
    return GateSet(cases=[case for case in whole.cases if case.boxes][:4], images="four drawn images", weaker="few")


def shuffled(model, images):
    """The right values in the wrong places: one permutation of the cells."""
    maps = class_activation_maps(model, images)
    order = np.random.default_rng(3).permutation(maps[0, 0].size)
    return maps.reshape(*maps.shape[:2], -1)[..., order].reshape(maps.shape)


def shifted(model, images):
    """The right map 32 px too far right."""
    maps = class_activation_maps(model, images)
    return np.stack([[np.roll(sized(one, images.shape[1:]), 32, 1) for one in row] for row in maps])


def constant(model, images):
    return np.full_like(class_activation_maps(model, images), 0.5)


def edges(model, images):
    """Edges of the image: what a map looks like that never asked the model."""
    findings = class_activation_maps(model, images[:1]).shape[1]
    found = [ndimage.gaussian_gradient_magnitude(image, 2.0) for image in images]
    return np.stack([np.repeat(one[None], findings, axis=0) for one in found])


REASONS = {
    shuffled: {names.PLANTED_LESION},
    shifted: {names.PLANTED_LESION},
    constant: {names.RANDOMISATION, names.CLASS_SENSITIVITY, names.FAITHFULNESS, names.PLANTED_LESION},
    edges: {names.RANDOMISATION, names.CLASS_SENSITIVITY, names.PLANTED_LESION},
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", REASONS, ids=lambda maker: maker.__name__)
def test_a_broken_map_fails_for_its_own_reason(package, drawn, broken):
    result = run(package, drawn, maker=broken)
    assert not result.passed
    assert set(result.failed) >= REASONS[broken]


@pytest.mark.parametrize("seed", range(1, 6))
def test_an_untrained_network_fails_because_its_maps_have_no_effect(tmp_path, seed):
    untrained = load_package(make_untrained(tmp_path, seed=seed))
    whole = drawn_set(untrained.network_size)
    as_if_of_patients = GateSet(cases=whole.cases, images="as if of patients")
    result = run(untrained, as_if_of_patients)
    assert names.FAITHFULNESS in result.failed, [test.words for test in result.tests]
    assert result.verdict is Verdict.FAILED
    (found,) = (test for test in result.tests if test.name == names.FAITHFULNESS)
    assert found.figures["swing"] < 0.05


@pytest.mark.parametrize("ends", [{}, {"localisation": None}, {"stability": False}])
def test_without_images_of_patients_the_answer_is_never_more_than_not_judged(folder, ends):
    result = dataclasses.replace(result_for(without_result(folder).model.sha256, **ends), weaker="drawn images")
    verdict = Verdict.FAILED if "stability" in ends else Verdict.NOT_JUDGED
    assert (result.passed, result.verdict) == (False, verdict)
    write_document(folder, document_of(result) | {"passed": True})  # as a result from before says it
    found = read_result(load_package(folder))
    assert (found.passed, found.verdict) == (False, verdict)
    assert ("not judged" in withheld_reason(load_package(folder))) == (verdict is Verdict.NOT_JUDGED)


CURVE = {"shares": [0.0, 0.5, 1.0], "deletion": [0.9, 0.8, 0.7], "insertion": [0.7, 0.85, 0.9]}
FLAT = {"shares": [0.0, 0.5, 1.0], "deletion": [0.44, 0.44, 0.43], "insertion": [0.43, 0.44, 0.44]}


@pytest.mark.parametrize(
    ("random_map", "gaussian", "more", "is_enough"),
    [
        ([0.05, 0.01, 0.09], [0.04, 0.01, 0.07], {"swing": 0.2}, True),
        ([0.02, 0.001, 0.04], [0.02, 0.001, 0.04], {"swing": 0.05}, True),
        ([0.0001, 0.00007, 0.0002], [0.0001, 0.00007, 0.0002], {"swing": 0.2}, False),
        ([0.05, 0.01, 0.09], [0.0199, 0.01, 0.03], {"swing": 0.2}, False),
        ([0.05, -0.001, 0.09], [0.04, 0.01, 0.07], {"swing": 0.2}, False),
        ([0.05, 0.01, 0.09], [0.04, 0.01, 0.07], {"swing": 0.049}, False),
        ([0.05, 0.01, 0.09], [0.04, 0.01, 0.07], {"curve": CURVE}, True),  # from before: no swing, but its curves
        ([0.05, 0.01, 0.09], [0.04, 0.01, 0.07], {"curve": FLAT}, False),
        ([None, None, None], [0.04, 0.01, 0.07], {"swing": 0.2}, False),
    ],
)
def test_figures_that_show_no_effect_fail_whatever_was_made_of_them_then(folder, random_map, gaussian, more, is_enough):
    document = document_of(result_for(without_result(folder).model.sha256))
    figures = {"above_random_map": random_map, "above_centred_gaussian": gaussian}
    if "swing" in more:
        figures["swing"] = more["swing"]
    else:
        document["curves"]["faithfulness"] = {"map": more["curve"]}
    for test in document["tests"]:
        test["figures"] = figures if test["name"] == names.FAITHFULNESS else {}
    write_document(folder, document)
    assert read_result(load_package(folder)).failed == (() if is_enough else (names.FAITHFULNESS,))


@pytest.mark.slow
def test_the_real_map_passes_what_the_broken_ones_fail(package, drawn):
    result = run(package, drawn)
    assert not set(result.failed) & {names.RANDOMISATION, names.CLASS_SENSITIVITY, names.PLANTED_LESION}
    assert result.sha256 == package.model.sha256
    assert result.weaker == "few"
    assert result.curves.randomisation.shares[-1] == 1.0


def test_shuffling_all_layers_leaves_nothing_but_the_distribution(package):
    import onnx
    from onnx import numpy_helper

    weights = package.read_weights()
    before, after = (onnx.load_from_string(w).graph.initializer for w in (weights, randomised(weights, 1.0, seed=1)))
    changed = 0
    for old, new in zip(before, after, strict=True):
        a, b = (numpy_helper.to_array(value) for value in (old, new))
        assert np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None))
        changed += not np.array_equal(a, b)
    assert changed > 200
    assert randomised(weights, 0.0, seed=1) != randomised(weights, 0.1, seed=1)


def result_for(sha256, **ends):
    """Of a gate that every test passed, but for those that ended otherwise; `_` means a blank in their names."""
    ends = dict.fromkeys(names.TESTS, True) | {name.replace("_", " "): end for name, end in ends.items()}
    tests = tuple(GateTest(name=name, passed=end, words="") for name, end in ends.items())
    facts = {"model": "m", "version": "1", "sha256": sha256, "method": names.METHOD, "images": "", "weaker": ""}
    return GateResult(**facts, tests=tests)


@pytest.fixture
def folder(tmp_path):
    return make_known_model(tmp_path)


def without_result(folder):
    (folder / RESULT).unlink(missing_ok=True)
    return load_package(folder)


def test_maps_are_sent_when_the_gate_was_passed_by_these_weights(folder):
    write_result(result_for(without_result(folder).model.sha256), folder)
    assert withheld_reason(load_package(folder)) == ""
    assert read_result(load_package(folder)).passed is True


def test_maps_are_withheld_without_a_result(folder):
    assert "has not been through" in withheld_reason(without_result(folder))


def test_maps_are_withheld_when_other_weights_passed(folder):
    write_result(result_for("0" * 64), folder)
    assert "other weights" in withheld_reason(load_package(folder))


def test_maps_are_withheld_when_a_test_failed_and_it_is_named(folder):
    write_result(result_for(without_result(folder).model.sha256, stability=False), folder)
    assert names.STABILITY in withheld_reason(load_package(folder))


def test_nothing_tested_is_nothing_passed(folder):
    result = dataclasses.replace(result_for(without_result(folder).model.sha256), tests=())
    write_result(result, folder)
    assert "stability (not made)" in withheld_reason(load_package(folder))


def test_a_summary_without_tests_proves_nothing(folder):
    document = document_of(result_for(without_result(folder).model.sha256)) | {
        "tests": [],
        "passed": True,
        "failed": [],
    }
    write_document(folder, document)
    assert "planted lesion (not made)" in withheld_reason(load_package(folder))
    del document["tests"]
    write_document(folder, document)
    assert "cannot be read" in withheld_reason(load_package(folder))


def test_what_failed_is_read_from_the_tests_and_not_from_the_summary(folder):
    result = result_for(without_result(folder).model.sha256, stability=False)
    write_document(folder, document_of(result) | {"passed": True, "failed": []})
    found = read_result(load_package(folder))
    assert (found.passed, found.failed) == (False, ("stability",))


def document_of(result):
    return json.loads(text_of(result.document()))


def write_document(folder, document):
    (folder / RESULT).parent.mkdir(exist_ok=True)
    (folder / RESULT).write_text(json.dumps(document))


@pytest.mark.parametrize("name", names.TESTS)
def test_each_test_must_be_there(folder, name):
    document = document_of(result_for(without_result(folder).model.sha256))
    document["tests"] = [test for test in document["tests"] if test["name"] != name]
    write_document(folder, document)
    assert withheld_reason(load_package(folder)).endswith(f"the gate: {name} (not made)")


def test_only_what_the_gate_leaves_out_may_be_left_out(folder):
    sha256 = without_result(folder).model.sha256
    for name in names.TESTS:
        write_result(result_for(sha256, **{name: None}), folder)
        spared = name in (names.CLASS_SENSITIVITY, names.LOCALISATION)  # the known model has one finding
        assert (withheld_reason(load_package(folder)) == "") == spared
    description = json.loads((folder / "candor.json").read_text())
    other = {"name": "other", "code": {"value": "OTHER", "scheme": "99TEST", "meaning": "Other"}}
    description["findings"].append({**description["findings"][0], **other})
    (folder / "candor.json").write_text(json.dumps(description))
    write_result(result_for(sha256, class_sensitivity=None), folder)
    assert "class sensitivity (not made)" in withheld_reason(load_package(folder))


def test_the_maps_of_another_method_prove_nothing_of_these(folder):
    result = dataclasses.replace(result_for(without_result(folder).model.sha256), method="grad_cam")
    write_result(result, folder)
    assert "passed by maps of another method" in withheld_reason(load_package(folder))


@pytest.mark.parametrize("end", [1, "yes", [True]])
def test_a_test_ends_in_one_of_three_ways(folder, end):
    document = document_of(result_for(without_result(folder).model.sha256))
    tests = [{**test, "passed": end} if test["name"] == "stability" else test for test in document["tests"]]
    write_document(folder, document | {"tests": tests})
    assert "cannot be read" in withheld_reason(load_package(folder))


def test_a_test_that_is_listed_twice_does_not_count_at_its_better_result(folder):
    document = document_of(result_for(without_result(folder).model.sha256, stability=False))
    document["tests"] = [*document["tests"], {"name": "stability", "passed": True, "words": ""}]
    write_document(folder, document)
    assert "cannot be read" in withheld_reason(load_package(folder))


def test_the_shipped_model_passes_by_its_tests():
    package = load_package(ZOO / "chest_radiograph")
    assert withheld_reason(package) == ""
    assert {test.name for test in read_result(package).tests} == set(names.TESTS)


@pytest.mark.parametrize("text", ["", "null", "[]", '{"schema": 1}', '{"schema": 99, "passed": true, "sha256": ""}'])
def test_a_result_that_cannot_be_read_withholds_the_maps_and_stops_nothing(folder, text):
    (folder / RESULT).parent.mkdir(exist_ok=True)
    (folder / RESULT).write_text(text)
    package = load_package(folder)
    assert "cannot be read" in withheld_reason(package)
    with pytest.raises(ConfigurationError):
        read_result(package)


def test_a_result_exchanged_after_it_was_verified_withholds_the_maps(folder):
    write_result(result_for(without_result(folder).model.sha256, stability=False), folder)
    package = load_package(folder)
    document = json.loads((folder / RESULT).read_text()) | {"passed": True, "failed": []}
    (folder / RESULT).write_text(json.dumps(document))
    assert withheld_reason(package) != ""
