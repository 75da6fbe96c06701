"""Every image of a study is read, or listed as not read with the reason; a declined image is followed by the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.domain.explanation import Saliency
from core.domain.model import Prediction
from core.domain.report import ReportStatus
from core.domain.study import Instance
from core.errors import CandorError, InvalidStudy
from core.geometry import SquareFrame
from inference.select import Choice
from models.package.format import ModelPackage, load_package
from pipeline.results_json import StudyEntry
from pipeline.story import Predecessor, read_study
from tests.known_model import make_known_model
from tests.unit.inference.test_select import image, study

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ORIGINAL = image(2, image_type=("ORIGINAL", "PRIMARY"))
CAPTURE = image(1, image_type=("DERIVED", "SECONDARY"))
LATERAL = image(3, view_position="LL")


class OneReader:
    """What a model would say, but for images that cannot be decoded."""

    def __init__(self, damaged: tuple[Instance, ...], error: CandorError) -> None:
        self.damaged, self.error = damaged, error
        self.asked: list[str] = []

    def infer(self, choice: Choice) -> Prediction:
        (instance,) = choice.what.instances
        self.asked.append(instance.sop_instance_uid)
        if instance in self.damaged:
            raise self.error
        names = [finding.name for finding in choice.package.model.findings]
        return Prediction(
            model=choice.package.model,
            input_key=choice.what.key,
            scores=dict.fromkeys(names, -9.0),
            probabilities=dict.fromkeys(names, 0.0),
            frame=SquareFrame.of(instance.rows, instance.columns),
        )

    def measure(self, _choice: Choice, _prediction: Prediction, saliencies: tuple[Saliency, ...]) -> Any:
        return saliencies


class NoFigures:
    def for_cohort(self, *_: object) -> tuple[()]:
        return ()

    def operating_points(self, *_: object) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder: Path = make_known_model(tmp_path_factory.mktemp("models"))
    return load_package(folder)


def read(
    package: ModelPackage, *images: Instance, damaged: tuple[Instance, ...] = (), error: CandorError | None = None
):
    reader = OneReader(damaged, error or InvalidStudy("the compressed image is damaged"))
    report = read_study(study(*images), (package,), reader, NoFigures(), predecessor=Predecessor(), at=AT)
    return report, reader


def listed(report: Any) -> list[tuple[str, bool, str]]:
    return [(use.sop_instance_uid[-1], use.read, use.reason) for use in StudyEntry.of(report).images]


def test_every_image_is_listed_as_read_or_not(package: ModelPackage) -> None:
    report, _ = read(package, CAPTURE, ORIGINAL, LATERAL)
    assert listed(report) == [
        ("1", False, "it is a secondary or partial image, and an original of the study is read"),
        ("2", True, ""),
        ("3", False, "the view LL is outside the model's intended use"),
    ]


@pytest.mark.parametrize("error", [InvalidStudy("the compressed image is damaged"), CandorError("the runner died")])
def test_a_declined_image_is_followed_by_the_next(package: ModelPackage, error: CandorError) -> None:
    report, reader = read(package, CAPTURE, ORIGINAL, damaged=(ORIGINAL,), error=error)
    assert reader.asked == ["1.2.3.2", "1.2.3.1"]
    assert report.status is ReportStatus.REPORTED
    assert listed(report) == [("1", True, ""), ("2", False, str(error))]


def test_of_several_originals_a_damaged_one_does_not_bring_back_the_capture(package: ModelPackage) -> None:
    second = replace(ORIGINAL, sop_instance_uid="1.2.3.4")
    report, reader = read(package, CAPTURE, ORIGINAL, second, damaged=(ORIGINAL,))
    assert reader.asked == ["1.2.3.2", "1.2.3.4"]
    assert [read for _, read, _ in listed(report)] == [False, False, True]


def test_a_study_that_no_one_reads_lists_its_images_too(package: ModelPackage) -> None:
    report, _ = read(package, LATERAL, image(5, modality="CT"))
    assert listed(report) == [
        ("3", False, "the view LL is outside the model's intended use"),
        ("5", False, "no model takes modality CT"),
    ]
