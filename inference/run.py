"""One input through one model: square it, run it, calibrate what comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.domain.input import ModelInput
from core.domain.model import Prediction, Quality
from core.domain.study import Image
from core.errors import CandorError, InvalidStudy
from core.geometry import SquareFrame
from inference.quality import assess
from models.quality import QualityModel
from models.runtimes.protocol import Batch, Outputs, Runtime


def infer(model: Runtime, what: ModelInput, images: Sequence[Image], check: QualityModel | None = None) -> Prediction:
    """Scores, calibrated probabilities and class activation maps of an input.

    `images`: its instances decoded, in the same order, pixels 0..1, shape (rows, columns). With a `check`, an image
    that it finds faulty is not shown to the model: the prediction then holds only that. Raises InvalidStudy when
    the model answers with something that is not a finite number (NaN is below every threshold, and would pass for "no
    finding"), CandorError when it does not run on this input or answers in another shape.
    """
    frame = images[0].frame
    quality = assess(check, images[0]) if check and not what.is_volume else None
    if quality and quality.fault:
        return _prediction(model, what, frame, {}, None, quality)
    outputs = _run(model, array_of(images, frame, is_volume=what.is_volume))
    finite = np.isfinite(outputs.scores).all() and (outputs.maps is None or np.isfinite(outputs.maps).all())
    if not finite:
        raise InvalidStudy("the model's answer for this image is not a number, so nothing can be said of it")
    names = [finding.name for finding in model.package.model.findings]
    scores = dict(zip(names, map(float, outputs.scores[0]), strict=True))
    return _prediction(model, what, frame, scores, outputs, quality)


def array_of(images: Sequence[Image], frame: SquareFrame, *, is_volume: bool) -> Batch:
    """The array that a model reads, shape (1, 1, side, side), of a volume (1, 1, slices, side, side)."""
    squares = np.stack([frame.to_square(image.pixels) for image in images])
    return squares[np.newaxis, np.newaxis] if is_volume else squares[np.newaxis]


def _run(model: Runtime, array: Batch) -> Outputs:
    try:
        outputs = model.predict(array)
    except Exception as error:  # a boundary: ONNX Runtime raises a dozen classes without a common base
        raise CandorError(f"the model does not run on this input ({type(error).__name__})") from error
    expected = (1, len(model.package.model.findings))
    if outputs.scores.shape != expected:
        raise CandorError(f"the model gives scores of shape {outputs.scores.shape} and not {expected}")
    dimensions = len(array.shape)
    if outputs.maps is not None and (outputs.maps.ndim != dimensions or outputs.maps.shape[:2] != expected):
        raise CandorError(f"the model gives a map of shape {outputs.maps.shape} for an input of {array.shape}")
    return outputs


def _prediction(
    model: Runtime,
    what: ModelInput,
    frame: SquareFrame,
    scores: dict[str, float],
    outputs: Outputs | None,
    quality: Quality | None,
) -> Prediction:
    maps = outputs.maps if outputs else None
    return Prediction(
        model=model.package.model,
        input_key=what.key,
        scores=scores,
        probabilities={name: model.package.calibrate(name, score) for name, score in scores.items()},
        frame=frame,
        maps=None if maps is None else maps[0],
        quality=quality,
    )
