"""An audit in a notebook: scores and truths in, a frame out, as users of fairlearn's MetricFrame expect it.

    from fairness.audit.frame import audit

    frame = audit(y_true, y_score, sensitive_features={"sex": sex, "view": view}, threshold=0.35, patients=patient_ids)
    frame.overall, frame.by_group, frame.group_min(), frame.difference(), frame.ratio(method="to_overall")

Nothing is written and nothing is withheld: the rows are the caller's. Each figure has its interval, by patients where
they repeat, and `frame.audit` is the whole audit with its tests. docs/notebooks.md shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat, cast

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from core.errors import ConfigurationError
from fairness.audit.nouns import ALL, Audit, Provenance, Row, Threshold
from fairness.audit.run import DRAWS, Request, run_audit
from fairness.audit.table import TRUTH_UNKNOWN, AuditTable, Scores, ScoresInMemory
from fairness.cohorts import AND
from fairness.grouping import Grouping

METRICS = ("auroc", "sensitivity", "specificity", "ppv", "npv", "prevalence", "flag_rate", "brier", "ece")
Method = Literal["between_groups", "to_overall"]
Features = Mapping[str, Sequence[Hashable]] | Sequence[Hashable]
Choice = Callable[[Iterable[float]], float]
_FINDING = "finding"


def audit(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sensitive_features: Features,
    control_features: Features | None = None,
    threshold: SupportsFloat = 0.5,
    patients: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 1,
) -> AuditFrame:
    """The audit of one finding; every argument has a value for each image.

    `y_true`: 1, 0 or NaN (not known); `y_score`: probabilities 0..1; a score at `threshold` is flagged.
    `sensitive_features`: columns by name (a mapping or a DataFrame), or one Series, list or array; each value is a
    group, and so are two values of two. `control_features`: one column, within whose values groups are compared.
    `patients`: whose image each is; without it each is another patient's. Raises ConfigurationError for columns of
    different lengths or other values.
    """
    scores, truths = _numbers(y_score, "y_score"), _truths(y_true)
    columns = _columns(sensitive_features, "sensitive_feature_0")
    control = _columns(control_features, "control_feature_0")
    if not columns or len(control) > 1 or set(columns) & set(control):
        raise ConfigurationError("give one or more sensitive_features, and at most one control feature besides")
    who = list(patients) if patients is not None else list(range(len(scores)))
    lengths = {len(values) for values in (scores, truths, who, *columns.values(), *control.values())}
    if lengths != {len(scores)} or not len(scores):
        raise ConfigurationError("y_true, y_score, patients and every feature need one value for each image")
    codes = np.unique([str(one) for one in who], return_inverse=True)[1].astype(np.int32)
    attributes = {name: Grouping.of(list(map(_value, values))) for name, values in (columns | control).items()}
    table = AuditTable(patients=codes, attributes=attributes, source=ScoresInMemory({_FINDING: Scores(scores, truths)}))
    if not 0 <= float(threshold) <= 1:
        raise ConfigurationError("threshold is a number from 0 to 1, as the scores are")
    chosen = Threshold(finding=_FINDING, value=float(threshold), source="chosen in a notebook")
    by = (*control, *columns)
    request = Request(by=by, thresholds={_FINDING: chosen}, draws=draws, seed=seed, shows_small_cells=True)
    made = run_audit(table, request, Provenance(code_version="", made_at="", source="notebook"))
    return AuditFrame(audit=made, features=tuple(columns), control=next(iter(control), ""))


@dataclass(frozen=True, slots=True)
class AuditFrame:
    """The figures of an audit, overall and by group; `features` divide, `control` is held fixed where there is one."""

    audit: Audit
    features: tuple[str, ...]
    control: str = ""

    @property
    def overall(self) -> dict[str, float]:
        """Each metric over all images; NaN where there are too few cases for it."""
        return {metric: _number(self.audit.row(_FINDING, metric)) for metric in METRICS}

    @property
    def by_group(self) -> pl.DataFrame:
        """A row for each group: its name, images, positives and negatives, and each metric with its interval."""
        return pl.DataFrame([self._row(cohort) for cohort in self._groups()], infer_schema_length=None)

    def group_min(self, feature: str = "") -> dict[str, float]:
        """The lowest value of each metric among the groups of a feature (the first one, unless it is named)."""
        return self._over(feature, min)

    def group_max(self, feature: str = "") -> dict[str, float]:
        """The highest value of each metric among the groups of a feature."""
        return self._over(feature, max)

    def difference(self, method: Method = "between_groups", feature: str = "") -> dict[str, float]:
        """The largest difference between two groups, or `to_overall` of a group from all, as fairlearn defines them."""
        return self._compared(feature, method, lambda one, other: abs(one - other), max)

    def ratio(self, method: Method = "between_groups", feature: str = "") -> dict[str, float]:
        """The smallest ratio between two groups, or of a group to all, never above 1, as fairlearn defines them."""
        return self._compared(feature, method, _ratio, min)

    def within(self, metric: str, feature: str = "") -> dict[str, dict[str, float]]:
        """By value of the control feature: the metric of each group of a feature within it."""
        found: dict[str, dict[str, float]] = {}
        for row in self.audit.rows:
            conditions = dict(part.partition("=")[::2] for part in row.cohort.split(AND))
            if row.metric == metric and set(conditions) == {self.control, feature or self.features[0]}:
                inside = found.setdefault(conditions[self.control], {})
                inside[conditions[feature or self.features[0]]] = _number(row)
        return found

    def _groups(self, feature: str = "") -> list[str]:
        names = [cohort for cohort in self.audit.cohorts if cohort != ALL]
        return [name for name in names if AND not in name and name.startswith(f"{feature}=")] if feature else names

    def _row(self, cohort: str) -> dict[str, str | float | None]:
        counted = self.audit.row(_FINDING, "prevalence", cohort) or self.audit.row(_FINDING, "flag_rate", cohort)
        found: dict[str, str | float | None] = {"group": cohort}
        found |= {name: getattr(counted, name, None) for name in ("n", "positives", "negatives")}
        for metric in METRICS:
            row = self.audit.row(_FINDING, metric, cohort)
            figures = (row.value, row.low, row.high) if row else (None, None, None)
            found |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), figures, strict=True))
        return found

    def _values(self, metric: str, feature: str) -> list[float]:
        if (feature or self.features[0]) not in self.features:
            raise ConfigurationError(f"there is no feature {feature}; there are {', '.join(self.features)}")
        groups = self._groups(feature or self.features[0])
        return [_number(self.audit.row(_FINDING, metric, group)) for group in groups]

    def _over(self, feature: str, choose: Choice) -> dict[str, float]:
        found = {metric: self._values(metric, feature) for metric in METRICS}
        known = {metric: not any(map(math.isnan, values)) for metric, values in found.items()}
        return {metric: choose(values) if known[metric] else math.nan for metric, values in found.items()}

    def _compared(
        self, feature: str, method: Method, compare: Callable[[float, float], float], choose: Choice
    ) -> dict[str, float]:
        """NaN where a group has too few cases: the worst group may be that one."""
        if method not in ("between_groups", "to_overall"):
            raise ConfigurationError("method is between_groups or to_overall")
        low, high, overall = self.group_min(feature), self.group_max(feature), self.overall
        if method == "between_groups":
            return {metric: compare(low[metric], high[metric]) for metric in METRICS}
        return {
            metric: math.nan
            if math.isnan(low[metric])
            else choose(compare(value, overall[metric]) for value in self._values(metric, feature))
            for metric in METRICS
        }


def _columns(features: Features | None, unnamed: str) -> dict[str, list[Hashable]]:
    """The columns by name; a Series has one, a list or an array is called `unnamed`, as in fairlearn."""
    if features is None:
        return {}
    names = getattr(features, "columns", features if isinstance(features, Mapping) else None)
    if names is not None:
        table: Any = features
        return {str(name): list(table[name]) for name in names}
    if np.ndim(cast("Any", features)) != 1:
        raise ConfigurationError("features are columns by name, or one Series, list or array")
    return {str(getattr(features, "name", None) or unnamed): list(features)}


def _ratio(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return low / high if high else math.nan


def _number(row: Row | None) -> float:
    return math.nan if row is None or row.value is None else row.value


def _value(value: Hashable) -> str:
    """A group's name; what is missing (None, NaN) is UNKNOWN, and the two signs that make names are replaced."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip().replace("&", "+").replace("=", ":")


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise ConfigurationError(f"{what} takes one number from 0 to 1 for each image")
    return found


def _truths(values: ArrayLike) -> NDArray[np.int8]:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError("y_true takes 1, 0 or NaN (not known) for each image") from error
    known = ~np.isnan(found)
    if found.ndim != 1 or not np.isin(found[known], (0.0, 1.0)).all():
        raise ConfigurationError("y_true takes 1, 0 or NaN (not known) for each image")
    return np.where(known, found, TRUTH_UNKNOWN).astype(np.int8)
