"""The class activation map that the graph itself gives: exact, complete (its mean is the score) and free of cost.

Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016. The map says which region influenced
the model, not where disease is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.domain.code import Code
from core.domain.explanation import Saliency
from core.domain.input import ModelInput
from core.domain.model import Prediction
from core.geometry import FloatMap
from explain.maps.methods import CLASS_ACTIVATION
from explain.maps.outline import outline
from explain.maps.region import region_of
from explain.maps.scale import over_range
from explain.perturbation import sized

METHOD = CLASS_ACTIVATION
MASK_LEVEL = 0.5
"""Half of the map's range: above it a pixel belongs to the region."""
FLAT = "the map is flat: no part of the image influenced the model more than another"


def explain(prediction: Prediction, what: ModelInput, finding_name: str) -> tuple[Saliency, ...]:
    """The region that influenced the model for one finding, in source pixels; none when the model gives no maps.

    Of a volume one for each slice that the region is in, the slice with the highest value first.
    """
    if prediction.maps is None:
        return ()
    names = [definition.name for definition in prediction.model.findings]
    values = prediction.maps[names.index(finding_name)]
    slices = [values]
    if what.is_volume:
        slices = list(sized(values, (len(what.instances), *values.shape[1:])))
    return saliencies_of(
        [prediction.frame.to_source(one) for one in slices], finding_name, what.sop_instance_uids, METHOD
    )


def saliencies_of(
    slices: Sequence[FloatMap], finding_name: str, sop_instance_uids: Sequence[str], method: Code
) -> tuple[Saliency, ...]:
    """A map of any scale, shape (rows, columns) of the source for each instance, as saliencies.

    `slices` become the map over its range inside the input, 0..1: the scale of an activation means nothing by itself,
    and with an operating point below one half a finding may be positive although no part of its map is.
    """
    scaled = over_range(np.stack(slices))
    peaks = scaled.reshape(len(scaled), -1).max(axis=1)
    ranked = sorted(range(len(scaled)), key=lambda number: -peaks[number])
    inside = [number for number in ranked if peaks[number] >= MASK_LEVEL] or ranked[:1]
    return tuple(_saliency(scaled[number], finding_name, sop_instance_uids[number], method) for number in inside)


def _saliency(scaled: FloatMap, finding_name: str, sop_instance_uid: str, method: Code) -> Saliency:
    above = scaled >= MASK_LEVEL
    mask, no_region = region_of(above)
    return Saliency(
        finding_name=finding_name,
        sop_instance_uid=sop_instance_uid,
        method=method,
        values=scaled,
        mask=mask,
        regions=outline(np.where(above & ~mask, np.float32(0.0), scaled), MASK_LEVEL) if mask.any() else (),
        parameters={"mask_level": MASK_LEVEL},
        shown=bool(above.any()),
        withheld_reason="" if above.any() else FLAT,
        no_region=no_region,
    )
