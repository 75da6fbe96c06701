"""The models of this installation: those that ship with Candor, and those in a folder that the settings name."""

from __future__ import annotations

from pathlib import Path

from models.packages import DESCRIPTION, ModelPackage, load_package

ZOO = Path(__file__).with_name("zoo")


def installed_packages(models_dir: Path | None = None) -> tuple[ModelPackage, ...]:
    """Every package, verified; those of the site come first, so that they are asked first."""
    folders = [path for root in (models_dir, ZOO) if root for path in sorted(root.glob("*/"))]
    return tuple(load_package(folder) for folder in folders if (folder / DESCRIPTION).exists())
