"""A site that has read and verified studies, written into a real store in one commit, for the tests of its audit."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from sqlalchemy import insert

from core.domain.model import ModelVersion
from core.domain.reading import CohortFacts, GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.store.store import Store
from core.store.tables.fairness import readings, truths

DAY_SECONDS = 24 * 3600.0


def fill_site(
    store: Store, model: ModelVersion, *, now: float, size: int = 3000, prevalence: float = 0.3, verified: float = 1.0
) -> None:
    """Women and men in two views; the model's first finding is found in 0.9 of PA and 0.6 of AP images.

    Every tenth AP study failed. Flagged studies are answered by somebody who saw the AI, the others blind.
    """
    random = np.random.default_rng(7)
    rows, answers = [], []
    for number in range(size):
        view, truth = random.choice(["AP", "PA"]), random.random() < prevalence
        flag = random.random() < ((0.6 if view == "AP" else 0.9) if truth else 0.1)
        failed = view == "AP" and number % 10 == 0
        row = ReadingRecord(
            study_id=f"s{number}",
            revision=1,
            patient=f"p{number}",
            status=ReportStatus.FAILED if failed else ReportStatus.REPORTED,
            facts=CohortFacts(
                view_position=str(view),
                patient_sex=str(random.choice(["F", "M"])),
                patient_age_years=float(random.integers(20, 90)),
                institution_name="Canary Clinic",
            ),
            model_name="" if failed else model.name,
            model_version="" if failed else model.version,
            model_sha256="" if failed else model.sha256,
            probabilities={} if failed else {f.name: 0.8 if flag else 0.2 for f in model.findings},
            above={} if failed else {f.name: bool(flag) for f in model.findings},
            turnaround_seconds=None if failed else float(random.uniform(2, 4)),
            read_at=now - DAY_SECONDS * float(random.uniform(0, 300)),
        )
        rows.append({**asdict(row), "report_id": f"{row.study_id}.{row.revision}"})
        if not failed and random.random() < verified:
            answer = GroundTruth(
                study_id=row.study_id,
                finding=model.findings[0].name,
                value=bool(truth),
                source=TruthSource.CSV,
                reader="r",
                ai_seen=bool(flag),
                at=now,
            )
            answers.append({**asdict(answer), "recorded_at": now})
    with store.engine.begin() as connection:
        connection.execute(insert(readings), rows)
        if answers:
            connection.execute(insert(truths), answers)
