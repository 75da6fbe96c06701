"""The class activation map that the graph itself gives: exact, complete (its mean is the score) and free of cost.

Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016. The map says which region influenced
the model, not where disease is.
"""

from __future__ import annotations

import numpy as np

from core.domain import Code, Prediction, Saliency
from core.geometry import FloatMap
from explain.outline import outline

METHOD = Code(value="130402", scheme="DCM", meaning="Class activation")
MASK_LEVEL = 0.5
"""Part of the map's maximum above which a pixel belongs to the region."""


def explain(prediction: Prediction, finding_name: str) -> Saliency | None:
    """The region that influenced the model for one finding, in source pixels; None when the model gives no maps.

    `values` is the positive part of the map over its maximum, 0..1, shape (rows, columns) of the source.
    """
    if prediction.maps is None:
        return None
    names = [definition.name for definition in prediction.model.findings]
    values = _normalise(prediction.frame.to_source(prediction.maps[names.index(finding_name)]))
    mask = values >= MASK_LEVEL
    return Saliency(
        finding_name=finding_name,
        sop_instance_uid=prediction.sop_instance_uid,
        method=METHOD,
        values=values,
        mask=mask,
        regions=outline(values, MASK_LEVEL),
        parameters={"mask_level": MASK_LEVEL},
        shown=bool(mask.any()),
        withheld_reason="" if mask.any() else "the map has no positive part inside the image",
    )


def _normalise(values: FloatMap) -> FloatMap:
    positive: FloatMap = np.maximum(values, np.float32(0.0))
    peak = positive.max()
    return positive / peak if peak > 0.0 else positive
