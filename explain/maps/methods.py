"""The methods behind `explain`: what each is called, coded as, needs, costs, and may claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.domain.code import Code
from core.errors import ConfigurationError

CLASS_ACTIVATION = Code(value="130402", scheme="DCM", meaning="Class activation")
GRADIENT_WEIGHTED = Code(value="130403", scheme="DCM", meaning="Gradient-weighted class activation")
SALIENCY = Code(value="130404", scheme="DCM", meaning="Saliency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to make a map. `needs`: maps (the graph gives them), gradients (torch), or scores (any black box).

    DICOM has codes for class activation, its gradient-weighted kind and saliency; what has none of its own is coded
    as saliency and named in the parameters. `claims_planted_lesion`: with these parameters at least 95 % of the map's
    mass is in a planted lesion, which a test checks; `why` says what prevents it in those that do not.
    """

    name: str
    words: str
    code: Code
    needs: Literal["maps", "gradients", "scores"]
    reference: str
    parameters: dict[str, int]
    claims_planted_lesion: bool
    why: str = ""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="class_activation",
            words="Class activation",
            code=CLASS_ACTIVATION,
            needs="maps",
            reference="Zhou et al., CVPR 2016",
            parameters={},
            claims_planted_lesion=True,
        ),
        Method(
            name="grad_cam",
            words="Grad-CAM",
            code=GRADIENT_WEIGHTED,
            needs="gradients",
            reference="Selvaraju et al., ICCV 2017",
            parameters={},
            claims_planted_lesion=True,
        ),
        Method(
            name="hires_cam",
            words="HiResCAM",
            code=GRADIENT_WEIGHTED,
            needs="gradients",
            reference="Draelos and Carin, arXiv 2011.08891",
            parameters={},
            claims_planted_lesion=True,
        ),
        Method(
            name="integrated_gradients",
            words="Integrated gradients",
            code=SALIENCY,
            needs="gradients",
            reference="Sundararajan et al., ICML 2017",
            parameters={"steps": 20},
            claims_planted_lesion=True,
        ),
        Method(
            name="occlusion",
            words="Occlusion",
            code=SALIENCY,
            needs="scores",
            reference="Zeiler and Fergus, ECCV 2014",
            parameters={"cells": 14},
            claims_planted_lesion=True,
        ),
        Method(
            name="rise",
            words="RISE",
            code=SALIENCY,
            needs="scores",
            reference="Petsiuk et al., BMVC 2018",
            parameters={"masks": 400, "cells": 8},
            claims_planted_lesion=False,
            why="a mean of random masks keeps their noise everywhere; it fades only with many thousand masks",
        ),
        Method(
            name="shap",
            words="SHAP (partition)",
            code=SALIENCY,
            needs="scores",
            reference="Lundberg and Lee, NeurIPS 2017",
            parameters={"passes": 500},
            claims_planted_lesion=False,
            why="it shares a region's value evenly, and halves regions where it likes: a lesion's border stays blurred",
        ),
    )
}
"""By name."""

DEFAULT = "class_activation"


def method_named(name: str) -> Method:
    """The method; raises ConfigurationError, naming those there are, when there is none of that name."""
    if name not in METHODS:
        raise ConfigurationError(f"there is no explanation method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]
