"""The models of this installation: those that ship with Candor, and those in a folder that the settings name.

A package that does not verify never stops the service: `load_registry` leaves it out and says why, so that the
command line, the log and the operator can name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import CandorError, ConfigurationError
from models.packages import DESCRIPTION, ModelPackage, load_package

ZOO = Path(__file__).with_name("zoo")


@dataclass(frozen=True, slots=True)
class Refused:
    """A package that was not loaded, and why."""

    folder: Path
    reason: CandorError


@dataclass(frozen=True, slots=True)
class Registry:
    """The verified packages, those asked first coming first, and the ones refused."""

    packages: tuple[ModelPackage, ...]
    refused: tuple[Refused, ...] = ()

    def find(self, name: str, version: str | None = None) -> ModelPackage:
        """The package of that name, and version if given; raises ConfigurationError when there is none."""
        for package in self.packages:
            if package.model.name == name and version in (None, package.model.version):
                return package
        known = ", ".join(f"{p.model.name} {p.model.version}" for p in self.packages) or "none"
        raise ConfigurationError(f"no model {name} {version or ''} is installed; installed: {known}")


def load_registry(models_dir: Path | None = None) -> Registry:
    """Verify every package of the site and the zoo; the site's come first, so that they are asked first."""
    packages: list[ModelPackage] = []
    refused: list[Refused] = []
    for folder in _folders(models_dir):
        try:
            packages.append(load_package(folder))
        except CandorError as reason:
            refused.append(Refused(folder, reason))
    return Registry(tuple(packages), tuple(refused))


def installed_packages(models_dir: Path | None = None) -> tuple[ModelPackage, ...]:
    """Every package, verified, where one that does not verify is an error."""
    return tuple(load_package(folder) for folder in _folders(models_dir))


def _folders(models_dir: Path | None) -> list[Path]:
    roots = [root for root in (models_dir, ZOO) if root]
    return [path.parent for root in roots for path in sorted(root.glob(f"*/{DESCRIPTION}"))]
