"""What models run on: a CUDA GPU where there is one that works, else the processor, and why.

Chosen automatically, for ONNX Runtime (serving) and for torch (training, gradient explanations) apart, because they
come with libraries of their own. torch is imported only where its build could use a GPU at all: asking must not cost
the node two seconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class TorchDevice:
    """`name` as torch takes it, "cuda" or "cpu"; `fallback`: why it is not the GPU, "" when it is."""

    name: str
    fallback: str = ""


def why_not_offered(provider: str, offered: Collection[str]) -> str:
    """Why this build of ONNX Runtime cannot use a provider, "" when it can try."""
    if provider in offered:
        return ""
    need = "; it needs onnxruntime-gpu" if provider == CUDA else ""
    return f"ONNX Runtime is built without {provider}{need}"


def torch_device() -> TorchDevice:
    """What torch runs on here: the GPU where it answers."""
    if find_spec("torch") is None:
        return TorchDevice("cpu", "torch is not installed")
    if not _built_with_cuda():
        return TorchDevice("cpu", "torch is built without CUDA")
    import torch

    if not torch.cuda.is_available():
        return TorchDevice("cpu", "torch finds no CUDA GPU that its driver can use")
    try:
        torch.ones(1, device="cuda").sum().item()
    except RuntimeError as error:  # a card that is too old for this build, or has no memory left
        return TorchDevice("cpu", f"the GPU failed: {(str(error).splitlines() or [''])[0][:200]}")
    return TorchDevice("cuda")


def _built_with_cuda() -> bool:
    """Read from torch's own version file, without importing torch."""
    spec = find_spec("torch")
    places = (spec.submodule_search_locations if spec else None) or []
    for place in places:
        file = Path(place) / "version.py"
        if file.exists():
            return not re.search(r"^cuda(: .*)? = None$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return True  # unknown from here: ask torch
