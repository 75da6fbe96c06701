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
"""Half of the map's range: above it a pixel belongs to the region."""
FLAT = 1e-6
"""A map whose range is smaller says nothing about where."""


def explain(prediction: Prediction, finding_name: str) -> Saliency | None:
    """The region that influenced the model for one finding, in source pixels; None when the model gives no maps.

    `values` is the map over its range inside the image, 0..1, shape (rows, columns) of the source: the scale of an
    activation means nothing by itself, and with an operating point below one half a finding may be positive although
    no part of its map is.
    """
    if prediction.maps is None:
        return None
    names = [definition.name for definition in prediction.model.findings]
    values = _over_range(prediction.frame.to_source(prediction.maps[names.index(finding_name)]))
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
        withheld_reason=""
        if mask.any()
        else "the map is flat: no part of the image influenced the model more than another",
    )


def _over_range(values: FloatMap) -> FloatMap:
    low, high = values.min(), values.max()
    if high - low < FLAT:
        return np.zeros_like(values)
    scaled: FloatMap = (values - low) / (high - low)
    return scaled
