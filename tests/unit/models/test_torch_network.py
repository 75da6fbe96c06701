"""The shipped weights say the same in torch as in ONNX Runtime, and their maps agree where theory says so."""

import numpy as np
import pytest

from core.errors import ConfigurationError
from models.package.format import load_package
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel
from models.runtimes.torch_network import TorchNetwork
from tests.known_model import make_known_model


@pytest.fixture(scope="module")
def package():
    return load_package(ZOO / "chest_radiograph")


@pytest.fixture(scope="module")
def network(package):
    return TorchNetwork.from_package(package)


@pytest.mark.parametrize("side", [224, 300, 512])
def test_logits_agree_with_onnx_runtime(package, network, side):
    images = np.random.default_rng(side).random((2, side, side), np.float32)
    logits, _ = OnnxModel.load(package, threads=1).predict(images[:, None])
    assert np.abs(network.scores(images) - logits).max() <= 1e-4


def test_activation_times_slope_is_the_class_activation_without_its_bias(package, network):
    """HiResCAM equals the class activation for a pooled linear head (Draelos and Carin), also with a mirrored view."""
    image = np.random.default_rng(1).random((256, 256), np.float32)
    _, maps = OnnxModel.load(package, threads=1).predict(image[None, None])
    layers = network.activations_and_gradients(image, 1)
    turned = [np.flip(one, -1) if layer.mirrored else one for layer, one in ((x, _product(x)) for x in layers)]
    difference = maps[0, 1] - sum(turned) * maps[0, 1].size
    assert np.ptp(difference) < 1e-3


def _product(layer):
    return (layer.activations * layer.gradients).sum(0)


def test_the_slope_of_the_score_is_its_derivative(network):
    image = np.random.default_rng(2).uniform(0.3, 0.7, (224, 224)).astype(np.float32)
    slope = network.gradients(image[None], 1)[0]
    step = 1e-3 * slope / np.linalg.norm(slope)
    up, down = network.scores(np.stack([image + step, image - step]).astype(np.float32))[:, 1]
    assert up - down == pytest.approx(2e-3 * np.linalg.norm(slope), rel=0.1)


def test_an_operator_that_torch_does_not_know_is_named(tmp_path):
    import onnx

    model = onnx.load(make_known_model(tmp_path) / "models" / "model.onnx")
    model.graph.node[2].op_type = "Einsum"
    with pytest.raises(ConfigurationError, match="Einsum"):
        TorchNetwork.from_weights(model.SerializeToString())


def test_what_is_no_model_is_refused():
    with pytest.raises(ConfigurationError, match="no ONNX model"):
        TorchNetwork.from_weights(b"\xff" * 64)
