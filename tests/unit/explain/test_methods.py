"""Every method that claims to find a planted lesion finds it, in two and in three dimensions."""

import numpy as np
import pytest

from core.errors import Cancelled, ConfigurationError
from explain.explanation import gradient_map
from explain.maps import black_box
from explain.maps.methods import METHODS, method_named
from explain.perturbation import sized
from explain.watching import UNWATCHED, Watch
from models.runtimes.onnx_variants import OnnxGraph, planted_lesion_model
from models.runtimes.torch_network import TorchNetwork
from tests.planted_models import planted_image, planted_network

CLAIMING = [method for method in METHODS.values() if method.claims_planted_lesion]
FINER = {"occlusion": {"cells": 64}}  # no finer than its windows: lesion 48 px, windows 2 px
FLAT = planted_image((128, 128), (34, 50), 48)
DEEP = planted_image((24, 24, 24), (6, 8, 4), 12)


def map_of(method, network, image, **settings):
    parameters = {**method.parameters, **settings}
    if method.needs == "gradients":
        return gradient_map(network, image, 0, method.name, parameters, UNWATCHED)[0]
    return {"occlusion": black_box.occlusion, "rise": black_box.rise, "shap": black_box.shap_partition}[method.name](
        network.scores, image, 0, **parameters
    )[0]


def mass_inside(values, inside):
    fine = sized(values, inside.shape)
    return float(fine[inside].sum() / fine.sum())


@pytest.mark.parametrize("method", [m for m in CLAIMING if m.needs != "maps"], ids=lambda method: method.name)
def test_the_mass_of_the_map_is_in_the_planted_lesion(method):
    image, inside = FLAT
    values = map_of(method, planted_network(2), image, **FINER.get(method.name, {}))
    assert values.shape == image.shape
    assert mass_inside(values, inside) >= 0.95


@pytest.mark.parametrize("method", [m for m in CLAIMING if m.needs != "maps"], ids=lambda method: method.name)
def test_also_in_a_volume(method):
    image, inside = DEEP
    finer = {"occlusion": {"cells": 12}}
    values = map_of(method, planted_network(3), image, **finer.get(method.name, {}))
    assert values.shape == image.shape
    assert mass_inside(values, inside) >= 0.95


def test_the_map_of_the_graph_is_in_the_planted_lesion():
    image, inside = FLAT
    graph = OnnxGraph.of(planted_lesion_model(), maps="class_activation")
    logits, maps = graph.predict(image[None, None])
    assert logits[0, 0] > 0
    assert mass_inside(maps[0, 0] - maps.min(), inside) >= 0.95


@pytest.mark.parametrize(("name", "settings"), [("rise", {}), ("shap", {"passes": 300})])
def test_what_points_at_the_lesion_but_spills_does_not_claim_to_hold_it(name, settings):
    image, inside = FLAT
    values = map_of(METHODS[name], planted_network(2), image, **settings)
    assert inside.mean() * 2.5 < mass_inside(values, inside) < 0.95
    assert not METHODS[name].claims_planted_lesion


def test_integrated_gradients_add_up_to_the_score():
    from explain.perturbation import blurred

    image, _ = FLAT
    network = planted_network(2)
    total = map_of(METHODS["integrated_gradients"], network, image, steps=200).sum()
    scores = network.scores(np.stack([image, blurred(image)]))[:, 0]
    assert total == pytest.approx(scores[0] - scores[1], rel=0.1)


def test_the_planted_graph_says_the_same_in_torch():
    image, _ = FLAT
    weights = planted_lesion_model()
    assert TorchNetwork.from_weights(weights).scores(image[None]) == pytest.approx(
        OnnxGraph.of(weights).predict(image[None, None])[0], abs=1e-5
    )


@pytest.mark.parametrize("method", ["rise", "shap"])
def test_the_same_seed_gives_the_same_map_and_another_does_not_disturb_numpy(method):
    image, _ = FLAT
    network = planted_network(2)
    small = {"rise": {"masks": 32}, "shap": {"passes": 60}}[method]
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    first, again = (map_of(METHODS[method], network, image, seed=3, **small) for _ in range(2))
    assert (first == again).all()
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("method", ["occlusion", "rise", "shap", "integrated_gradients"])
def test_a_long_method_tells_how_far_it_is_and_can_be_cancelled(method):
    image, _ = FLAT
    network, seen = planted_network(2), []
    watch = Watch(progress=lambda done, total: seen.append((done, total)), cancelled=lambda: len(seen) >= 2)
    small = {"shap": {"passes": 200}, "integrated_gradients": {"steps": 64}}.get(method, {})
    with pytest.raises(Cancelled, match="cancelled after"):
        map_of_watched(METHODS[method], network, image, watch, small)
    assert len(seen) == 2
    assert seen[0][0] <= seen[1][0] <= seen[1][1]


def map_of_watched(method, network, image, watch, settings):
    parameters = {**method.parameters, **settings}
    if method.needs == "gradients":
        return gradient_map(network, image, 0, method.name, parameters, watch)
    functions = {"occlusion": black_box.occlusion, "rise": black_box.rise, "shap": black_box.shap_partition}
    return functions[method.name](network.scores, image, 0, watch=watch, **parameters)


def test_an_unknown_method_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(ConfigurationError, match="class_activation, grad_cam"):
        method_named("tea_leaves")


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_what_does_not_claim_the_planted_lesion_says_why(method):
    assert method.claims_planted_lesion or method.why
