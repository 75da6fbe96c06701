"""One image through one model: square it, run it, calibrate what comes out."""

from __future__ import annotations

import numpy as np

from core.domain.model import Prediction
from core.domain.study import Image
from core.errors import InvalidStudy
from inference.quality import assess
from models.quality import QualityModel
from models.runtimes.onnx import OnnxModel


def infer(model: OnnxModel, image: Image, sop_instance_uid: str, check: QualityModel | None = None) -> Prediction:
    """Scores, calibrated probabilities and class activation maps of `image` (pixels 0..1, shape (rows, columns)).

    With a `check`, an image that it finds faulty is not shown to the model: the prediction then holds only that.
    Raises InvalidStudy when the model answers with something that is not a finite number: NaN is below every
    threshold, and would pass for "no finding".
    """
    frame = image.frame
    quality = assess(check, image) if check else None
    if quality and quality.fault:
        return Prediction(
            model=model.package.model,
            sop_instance_uid=sop_instance_uid,
            scores={},
            probabilities={},
            frame=frame,
            quality=quality,
        )
    square = frame.to_square(image.pixels)
    logits, maps = model.predict(square[np.newaxis, np.newaxis])
    if not (np.isfinite(logits).all() and (maps is None or np.isfinite(maps).all())):
        raise InvalidStudy("the model's answer for this image is not a number, so nothing can be said of it")
    findings = model.package.model.findings
    scores = {finding.name: float(logit) for finding, logit in zip(findings, logits[0], strict=True)}
    probabilities = {name: model.package.calibrate(name, score) for name, score in scores.items()}
    return Prediction(
        model=model.package.model,
        sop_instance_uid=sop_instance_uid,
        scores=scores,
        probabilities=probabilities,
        frame=frame,
        maps=None if maps is None else maps[0],
        quality=quality,
    )
