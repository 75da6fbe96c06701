"""The one verb: explain a finding on an image, by any method, and say how far the map can be trusted.

The report's own map comes from `explain.maps.class_activation`, which has the prediction already and costs nothing;
this is for explanations asked for by a person, for models that give no maps, and for comparing methods.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.domain.explanation import Faithfulness, Saliency
from core.errors import ConfigurationError
from core.progress import Progress, silent
from explain.batches import Floats
from explain.faithfulness import STANDARD, Budget, measure
from explain.maps import black_box, gradient
from explain.maps.class_activation import MASK_LEVEL, saliencies_of
from explain.maps.methods import DEFAULT, Method, method_named
from explain.structure import rank_correlation, similarity
from explain.subject import Subject

Parameters = dict[str, int]


def explain(
    subject: Subject,
    finding: str,
    *,
    method: str = DEFAULT,
    parameters: Parameters | None = None,
    budget: Budget | None = None,
    seed: int = 1,
    progress: Progress = silent,
) -> Saliency:
    """The map of `finding` on one image, in source pixels, with its faithfulness when a `budget` for that is given.

    `parameters` change those of the method's table. With a budget a method that is not free runs three times: its
    stability is that of the method, not of the model. Raises ConfigurationError for a method that does not exist or
    that this model does not allow, Cancelled by `progress`.
    """
    chosen = method_named(method)
    settings = {**chosen.parameters, **(parameters or {})}
    values, passes = map_of(subject, subject.square, finding, chosen, settings, seed=seed, progress=progress)
    in_source = [subject.frame.to_source(values)]
    (saliency,) = saliencies_of(in_source, finding, (subject.sop_instance_uid,), chosen.code)
    of_method: dict[str, float | int | str] = {
        "method": chosen.words,
        **settings,
        "seed": seed,
        "forward_passes": passes,
    }
    figures = None
    if budget is not None:
        figures = _faithfulness(subject, finding, chosen, settings, values, budget, seed, progress)
    return replace(saliency, parameters={**saliency.parameters, **of_method}, faithfulness=figures)


def map_of(
    subject: Subject,
    square: Floats,
    finding: str,
    method: Method,
    settings: Parameters,
    *,
    seed: int = 1,
    progress: Progress = silent,
) -> tuple[Floats, int]:
    """The map of `finding` on a square (side, side), any grid, and what it cost in forward passes (a backward pass
    counts as one).
    """
    if method.needs == "maps":
        maps = subject.maps(square[np.newaxis], finding)
        if maps is None:
            raise ConfigurationError("this model gives no class activation map; choose another method")
        return maps[0], 1
    number = subject.number_of(finding)
    if method.needs == "gradients":
        return gradient_map(subject.gradients(), square, number, method.name, settings, progress)
    if method.name == "occlusion":
        return black_box.occlusion(subject.scores, square, number, progress=progress, **settings)
    if method.name == "rise":
        return black_box.rise(subject.scores, square, number, seed=seed, progress=progress, **settings)
    return black_box.shap_partition(subject.scores, square, number, seed=seed, progress=progress, **settings)


def gradient_map(
    model: gradient.GradientModel, image: Floats, number: int, name: str, settings: Parameters, progress: Progress
) -> tuple[Floats, int]:
    """A gradient method's map and cost; any number of dimensions."""
    if name == "integrated_gradients":
        values = gradient.integrated_gradients(model, image, number, progress=progress, **settings)
        return values, 2 * settings["steps"]
    return (gradient.grad_cam if name == "grad_cam" else gradient.hires_cam)(model, image, number), 2


def faithfulness_of(
    subject: Subject, finding: str, values: Floats, *, budget: Budget = STANDARD, seed: int = 1
) -> Faithfulness:
    """The figures of the graph's own map `values` ([slices,] h, w), which the prediction already holds."""
    return _faithfulness(subject, finding, method_named(DEFAULT), {}, values, budget, seed, silent)


def agreement(first: Saliency, second: Saliency) -> dict[str, float]:
    """How alike two methods' maps of one finding are: `ssim` -1..1, `rank_correlation` -1..1 (Spearman, on the grid
    on which SSIM is measured; 0 when a map is flat), `overlap` 0..1 (IoU of their upper halves).
    """
    upper = [saliency.values >= MASK_LEVEL for saliency in (first, second)]  # a diffuse map has no region
    both, either = np.logical_and(*upper).sum(), np.logical_or(*upper).sum()
    return {
        "ssim": similarity(first.values, second.values),
        "rank_correlation": rank_correlation(first.values, second.values),
        "overlap": float(both / either) if either else 0.0,
    }


def _faithfulness(
    subject: Subject,
    finding: str,
    method: Method,
    settings: Parameters,
    values: Floats,
    budget: Budget,
    seed: int,
    progress: Progress,
) -> Faithfulness:
    passes = 1

    def again(squares: Floats) -> Floats:
        nonlocal passes
        made = [map_of(subject, each, finding, method, settings, seed=seed, progress=progress) for each in squares]
        passes = made[0][1]
        return np.stack([each for each, _ in made])

    figures = measure(
        subject.probabilities(finding), again, subject.square, values, budget=budget, seed=seed, progress=progress
    )
    return replace(figures, forward_passes=figures.forward_passes + 2 * (passes - 1))
