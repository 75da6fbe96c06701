"""configs/metadata.json: the description that the MONAI bundle format asks for."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Literal

from pydantic import Field

from core.documents.model import Document
from models.documents.training import TrainingRecord
from models.package.description import Prose

_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


class Tensor(Document):
    """An input or output, as MONAI describes it."""

    type: Literal["image", "probabilities"]
    format: str
    modality: str = "CR"
    num_channels: int
    spatial_shape: tuple[str, ...]
    dtype: str = "float32"
    value_range: tuple[int, int]
    is_patch_data: bool = False
    channel_def: dict[str, str]


class DataFormat(Document):
    """What goes in and what comes out."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class BundleMetadata(Document):
    """The whole of metadata.json."""

    schema_url: str = Field(serialization_alias="schema")
    version: str
    changelog: dict[str, str]
    monai_version: str
    pytorch_version: str
    numpy_version: str
    required_packages_version: dict[str, str]
    name: str
    task: str
    description: str
    authors: str
    copyright: str
    data_source: str
    data_type: str
    image_classes: str
    pred_classes: str
    eval_metrics: dict[str, float | None]
    intended_use: str
    references: tuple[str, ...]
    network_data_format: DataFormat


def bundle_metadata(training: TrainingRecord, prose: Prose, version: str) -> BundleMetadata:
    """The metadata of a trained chest radiograph model."""
    classes = {str(index): name for index, name in enumerate(training.shipped)}
    areas = training.held_out or {}
    return BundleMetadata(
        schema_url=_SCHEMA,
        version=version,
        changelog=prose.changelog or {},
        monai_version=installed_version("monai"),
        pytorch_version=installed_version("torch").split("+")[0],
        numpy_version=installed_version("numpy"),
        required_packages_version={"onnxruntime": installed_version("onnxruntime")},
        name="Chest radiograph findings",
        task="Findings on frontal chest radiographs of adults, each with an exact class activation map",
        description=prose.intended_use,
        authors="Candor project",
        copyright="Candor project, Apache-2.0; data attribution in docs/data_license.txt",
        data_source=prose.data_source,
        data_type="dicom",
        image_classes="one channel, 0 black .. 1 white, square",
        pred_classes="one logit per finding",
        eval_metrics={name: areas[name].auroc[0] for name in training.shipped},
        intended_use=prose.intended_use,
        references=prose.references,
        network_data_format=DataFormat(
            inputs={"image": _image()},
            outputs={"pred": _probabilities(classes)},
        ),
    )


def _image() -> Tensor:
    return Tensor(
        type="image",
        format="magnitude",
        num_channels=1,
        spatial_shape=("*", "*"),
        value_range=(0, 1),
        channel_def={"0": "radiograph"},
    )


def _probabilities(classes: dict[str, str]) -> Tensor:
    return Tensor(
        type="probabilities",
        format="classes",
        num_channels=len(classes),
        spatial_shape=(),
        value_range=(-30, 30),
        channel_def=classes,
    )
