"""The class activation map that the graph itself gives: exact, complete (its mean is the score) and free of cost.

Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016. The map says which region influenced
the model, not where disease is.
"""

from __future__ import annotations

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.model import Prediction
from core.geometry import FloatMap
from explain.maps.methods import CLASS_ACTIVATION
from explain.maps.outline import outline
from explain.maps.scale import over_range

METHOD = CLASS_ACTIVATION
MASK_LEVEL = 0.5
"""Half of the map's range: above it a pixel belongs to the region."""
FLAT = "the map is flat: no part of the image influenced the model more than another"


def explain(prediction: Prediction, finding_name: str) -> Saliency | None:
    """The region that influenced the model for one finding, in source pixels; None when the model gives no maps."""
    if prediction.maps is None:
        return None
    names = [definition.name for definition in prediction.model.findings]
    values = prediction.frame.to_source(prediction.maps[names.index(finding_name)])
    return saliency_of(values, finding_name, prediction.sop_instance_uid, METHOD)


def saliency_of(values: FloatMap, finding_name: str, sop_instance_uid: str, method: Code) -> Saliency:
    """A map of any scale, shape (rows, columns) of the source, as a saliency.

    `values` become the map over its range inside the image, 0..1: the scale of an activation means nothing by itself,
    and with an operating point below one half a finding may be positive although no part of its map is.
    """
    scaled = over_range(values)
    mask = scaled >= MASK_LEVEL
    return Saliency(
        finding_name=finding_name,
        sop_instance_uid=sop_instance_uid,
        method=method,
        values=scaled,
        mask=mask,
        regions=outline(scaled, MASK_LEVEL),
        parameters={"mask_level": MASK_LEVEL},
        shown=bool(mask.any()),
        withheld_reason="" if mask.any() else FLAT,
    )
