"""Models: packages on disk, the registry, what runs them, evaluation, and how the shipped ones were trained."""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime loads: else it opens a database in the home
