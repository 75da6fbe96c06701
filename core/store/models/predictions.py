"""What models said, remembered: a model runs once per input and model version, whatever crashes or is sent again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from sqlalchemy import Engine, func, select, update

from core.domain.model import ModelVersion, Prediction, Quality
from core.geometry import SquareFrame
from core.store.engine import read_only
from core.store.statements import insert_if_absent
from core.store.tables.models import predictions


class PredictionStore:
    """Predictions by input and by the weights of the model."""

    def __init__(self, engine: Engine, *, now: Callable[[], float]) -> None:
        self._engine = engine
        self._reader = read_only(engine)
        self._now = now

    def find(self, input_key: str, model: ModelVersion) -> Prediction | None:
        """The remembered prediction of this model for this input, if it ran."""
        query = select(predictions).where(
            predictions.c.input_key == input_key, predictions.c.model_sha256 == model.sha256
        )
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        maps = None if row.maps is None else np.frombuffer(row.maps, np.float32).reshape(row.maps_shape)
        return Prediction(
            model=model,
            input_key=input_key,
            scores=row.document["scores"],
            probabilities=row.document["probabilities"],
            frame=SquareFrame(**row.document["frame"]),
            maps=maps,
            quality=Quality(**said) if (said := row.document.get("quality")) else None,
        )

    def remember(self, prediction: Prediction, *, study_id: str = "") -> None:
        """Keep a prediction of a study.

        A second run of the same model on the same input is counted, and its result is the one that counts: a quality
        check may have joined the package since.
        """
        mine = (predictions.c.input_key == prediction.input_key) & (
            predictions.c.model_sha256 == prediction.model.sha256
        )
        maps = None if prediction.maps is None else np.ascontiguousarray(prediction.maps, np.float32)
        row = {
            "input_key": prediction.input_key,
            "model_sha256": prediction.model.sha256,
            "document": {
                "scores": prediction.scores,
                "probabilities": prediction.probabilities,
                "frame": dataclasses.asdict(prediction.frame),
                "quality": dataclasses.asdict(prediction.quality) if prediction.quality else None,
            },
            "maps": None if maps is None else maps.tobytes(),
            "maps_shape": None if maps is None else list(maps.shape),
            "predicted_at": self._now(),
            "study_id": study_id,
        }
        with self._engine.begin() as connection:
            if not insert_if_absent(connection, predictions, row):
                renewed = {name: row[name] for name in ("document", "maps", "maps_shape", "study_id")}
                connection.execute(update(predictions).where(mine).values(runs=predictions.c.runs + 1, **renewed))

    def runs(self) -> int:
        """How often any model ran, over all predictions."""
        with self._reader.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(predictions.c.runs), 0))).scalar_one())
