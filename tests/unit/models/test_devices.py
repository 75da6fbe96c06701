"""What a model runs on is chosen, falls back when it fails, and says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from core.errors import IntegrityError
from models.package.format import load_package, sha256_of
from models.runtimes.devices import CPU, CUDA, torch_device
from models.runtimes.onnx import OnnxModel
from tests.known_model import make_known_model

IMAGES = np.zeros((1, 1, 64, 64), np.float32)


def test_the_first_provider_that_works_is_taken_and_the_others_are_excused(tmp_path: Path) -> None:
    model = OnnxModel.load(load_package(make_known_model(tmp_path)), threads=1)
    if CUDA in onnxruntime.get_available_providers() and not model.fallback:
        assert model.provider == CUDA
    else:
        assert model.provider == CPU
        assert model.fallback.startswith(("ONNX Runtime is built without CUDAExecutionProvider", CUDA))
    assert OnnxModel.load(model.package, threads=1, providers=[CPU]).fallback == ""


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="here CUDA could work")
def test_a_provider_that_does_not_start_falls_back_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime really is asked for CUDA here, and really fails: only the list of what it offers is not true."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    model = OnnxModel.load(load_package(make_known_model(tmp_path)), threads=1)
    assert model.provider == CPU
    assert model.fallback.startswith(CUDA)
    assert model.predict(IMAGES)[0].shape == (1, 1)


class FailingSession:
    """A GPU session whose card was lost: what ONNX Runtime raises then, in place of the card."""

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def __init__(self, before: onnxruntime.InferenceSession) -> None:
        self.get_inputs = before.get_inputs

    def run(self, *_: object) -> None:
        raise RuntimeError("CUDA failure 719: unspecified launch failure\nmore lines")


def test_a_gpu_that_fails_while_running_is_left_for_the_processor(tmp_path: Path) -> None:
    package = load_package(make_known_model(tmp_path))
    session = OnnxModel.load(package, threads=1, providers=[CPU]).session
    model = OnnxModel(package=package, session=FailingSession(session))
    logits, _ = model.predict(IMAGES)
    assert logits.shape == (1, 1)
    assert model.provider == CPU
    assert model.fallback == f"{CUDA} failed: CUDA failure 719: unspecified launch failure"


def with_offset(folder: Path, offset: float) -> Path:
    """The known model with a map that adds up to its score but for `offset`."""
    path = folder / "models" / "model.onnx"
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.array(offset, np.float32), "offset"))
    model.graph.node[-1].output[0] = "sum"
    model.graph.node.append(onnx.helper.make_node("Add", ["sum", "offset"], ["logits"]))
    onnx.save(model, path)
    description = (folder / "candor.json").read_text()
    before = load_sha(description)
    (folder / "candor.json").write_text(description.replace(before, sha256_of(path)))
    return folder


def load_sha(description: str) -> str:
    return description.split('"sha256": "')[1][:64]


@pytest.mark.parametrize(("offset", "taken"), [(0.0, True), (2e-6, True), (3e-5, False), (-1e-4, False)])
def test_a_map_that_does_not_add_up_to_its_score_is_refused(tmp_path: Path, offset: float, taken: bool) -> None:
    package = load_package(with_offset(make_known_model(tmp_path), offset))
    if taken:
        OnnxModel.load(package, threads=1)
        return
    with pytest.raises(IntegrityError, match="does not add up"):
        OnnxModel.load(package, threads=1)


def test_torch_says_what_it_runs_on_and_why_not_on_the_gpu() -> None:
    import torch

    device = torch_device()
    assert device.name == ("cuda" if torch.cuda.is_available() else "cpu")
    assert bool(device.fallback) == (device.name == "cpu")


def test_asking_a_torch_without_cuda_does_not_import_it() -> None:
    program = (
        "import sys; from models.runtimes.devices import torch_device; torch_device(); sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    import torch

    if torch.version.cuda is not None:
        pytest.skip("this torch could use a GPU and has to be asked")
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False, timeout=120).returncode == 0
