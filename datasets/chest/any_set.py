"""One door to every set of labelled chest radiographs: its files say which one a folder holds."""

from __future__ import annotations

from pathlib import Path

from core.errors import ConfigurationError
from datasets.chest import nih_chest, nih_full, own_images, rsna
from datasets.chest.nih_chest import LabelledRadiograph


def load(root: Path, predictions: Path | None = None) -> tuple[LabelledRadiograph, ...]:
    """The radiographs under `root`; raises ConfigurationError when it holds none of the known sets.

    `predictions`: another model's table that softens text-mined labels, see `nih_chest.load`; only for that set.
    """
    if not root.exists():
        raise ConfigurationError(f"{root} is not there; give a folder of labelled images or a CSV that names them")
    if own_images.recognises(root):
        if predictions:
            raise ConfigurationError("another model's predictions soften labels of the NIH subset only")
        return own_images.load(root)
    if (root / "labels.csv").exists():
        return nih_chest.load(root, predictions)
    if nih_full.recognises(root):
        return nih_full.load(root)
    if rsna.recognises(root):
        return rsna.load(root)
    raise ConfigurationError(
        f"{root} holds none of the known sets: labels.csv (the NIH subset), Data_Entry_2017*.csv (NIH ChestX-ray14) "
        "or stage_2_detailed_class_info.csv (RSNA 2018); and it is no set of your own: a CSV with the columns file and "
        "truth_FINDING, a folder with such a labels.csv, or a folder for each finding and one named normal "
        "(docs/evaluation.md). Point --data to the folder that does."
    )
