"""Cohorts: for whom a reading was, in words that an audit can group by.

Facts of a header become attributes (`sex=F`, `age_band=60-79`, `view=AP`); what is not said is UNKNOWN, a cohort of its
own, because those who are not described are not average. A site adds cohorts in a TOML file, as data:

    [cohorts.icu]                             # icu=yes where every rule holds; a list means one of these
    calling_ae_title = ["ICU1", "ICU2"]
    portable = ["yes"]

    [bands.dose]                              # dose=0-79, 80-109, 110+
    over = "kvp"                              # or "age"
    edges = [80, 110]

Readings keep the facts, not the attributes, so a cohort that is defined today also divides what was read before.
Race is never inferred from pixels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from core.documents.model import KnowsAllKeys, Positive
from core.documents.reading import read_toml
from core.domain.reading import CohortFacts
from core.errors import ConfigurationError

UNKNOWN = "UNKNOWN"
ALL = "all"
AND = " & "
AGE_EDGES = (18.0, 40.0, 60.0, 80.0)  # 0-17, 18-39, 40-59, 60-79, 80+
KVP_EDGES = (90.0, 110.0)  # without a grid, with one, high
LONGEST_VALUE = 64
_PLAIN_VALUES = frozenset({UNKNOWN, "AP", "PA", "LL", "RL"})  # what may be repeated of a view
_BUILT_IN = (
    *("sex", "age_band", "ethnic_group", "manufacturer", "model", "station", "institution", "view", "kvp_band"),
    *("software", "portable", "calling_ae_title"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cohort of the site: yes where each attribute has one of the values."""

    name: str
    one_of: dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A division of a number: below the first edge, between edges, from the last edge on."""

    name: str
    over: str
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a site adds to the built-in attributes."""

    rules: tuple[Rule, ...] = ()
    bands: tuple[Band, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every attribute there is, in the order of the audit."""
        return (*_BUILT_IN, *(band.name for band in self.bands), *(rule.name for rule in self.rules))


def attributes_of(facts: CohortFacts, definition: Definition) -> dict[str, str]:
    """The cohorts that a reading belongs to, as attribute -> value; never empty, never None."""
    numbers = {"age": facts.patient_age_years, "kvp": facts.kvp}
    found = {
        "sex": _word(facts.patient_sex),
        "age_band": band_of(facts.patient_age_years, AGE_EDGES),
        "ethnic_group": _word(facts.ethnic_group),
        "manufacturer": _word(facts.manufacturer),
        "model": _word(facts.manufacturer_model_name),
        "station": _word(facts.station_name),
        "institution": _word(facts.institution_name),
        "view": _word(facts.view_position),
        "kvp_band": band_of(facts.kvp, KVP_EDGES),
        "software": _word(facts.software_versions),
        "portable": UNKNOWN if facts.mobile is None else "yes" if facts.mobile else "no",
        "calling_ae_title": _word(facts.calling_ae_title),
    }
    found |= {band.name: band_of(numbers[band.over], band.edges) for band in definition.bands}
    return found | {
        rule.name: "yes" if all(found[name] in values for name, values in rule.one_of.items()) else "no"
        for rule in definition.rules
    }


def band_of(value: float | None, edges: Sequence[float]) -> str:
    """The band of a number as "60-79" (whole units, both ends in it), "80+" for the last one."""
    if value is None or value < 0:
        return UNKNOWN
    place = bisect_right(edges, value)
    low = edges[place - 1] if place else 0.0
    return f"{low:g}+" if place == len(edges) else f"{low:g}-{edges[place] - 1:g}"


def cohort_name(conditions: Mapping[str, str]) -> str:
    """The name of a cohort: "sex=F & age_band=60-79"; "all" without conditions."""
    return AND.join(f"{name}={value}" for name, value in conditions.items()) or ALL


def conditions_of(cohort: str) -> dict[str, str]:
    """The conditions that a cohort's name states; empty for "all"."""
    if cohort == ALL:
        return {}
    return dict(condition.partition("=")[::2] for condition in cohort.split(AND))


def loggable(cohort: str, definition: Definition) -> str:
    """A cohort's name for a log or a metric: what a sender wrote freely (institution, station, ...) becomes "?"."""
    own = definition.names[len(_BUILT_IN) :]
    closed = {*own, "sex", "age_band", "kvp_band", "portable", "calling_ae_title"}
    conditions = conditions_of(cohort).items()
    return cohort_name({name: value if name in closed or value in _PLAIN_VALUES else "?" for name, value in conditions})


def load_definition(path: Path | None) -> Definition:
    """The site's cohorts; none when there is no file. ConfigurationError says what is wrong, and where."""
    if path is None or not path.exists():
        return Definition()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return read_toml(DefinitionFile, text, str(path)).definition()


def _check_name(name: str) -> str:
    if not name.replace("_", "a").isalnum() or not name.isascii() or len(name) > 32:
        raise ValueError("a name has up to 32 letters, digits and _")
    return name


def _listed(values: object) -> object:
    """A single text is a list of one."""
    return (values,) if isinstance(values, str) else tuple(values) if isinstance(values, list) else values


Name = Annotated[str, AfterValidator(_check_name)]
Values = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class BandEntry(KnowsAllKeys):
    """[bands.NAME]."""

    over: Literal["age", "kvp"]
    edges: Annotated[tuple[Positive, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_that_edges_rise(self) -> Self:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must rise")
        return self


class DefinitionFile(KnowsAllKeys):
    """The tables `cohorts` and `bands` of the file of a site."""

    noun: ClassVar[str] = "a definition of cohorts"

    cohorts: dict[Name, Annotated[dict[str, Values], Field(min_length=1)]] = Field(default_factory=dict)
    bands: dict[Name, BandEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        known = (*_BUILT_IN, *self.bands)
        names = [*known, *self.cohorts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"these names are taken: {', '.join(twice)}")
        for name, entry in self.cohorts.items():
            if unknown := [attribute for attribute in entry if attribute not in known]:
                raise ValueError(
                    f"cohorts.{name}: there is no attribute {', '.join(unknown)}; there are {', '.join(known)}"
                )
        return self

    def definition(self) -> Definition:
        """The cohorts with their values as they stand in names of cohorts."""
        bands = (Band(name=name, over=one.over, edges=tuple(map(float, one.edges))) for name, one in self.bands.items())
        return Definition(rules=tuple(_rule(name, entry) for name, entry in self.cohorts.items()), bands=tuple(bands))


def _rule(name: str, entry: Mapping[str, Sequence[str]]) -> Rule:
    one_of = {
        attribute: frozenset(value.lower() if attribute == "portable" else _word(value) for value in values)
        for attribute, values in entry.items()
    }
    return Rule(name=name, one_of=one_of)


def _word(text: str) -> str:
    """A value as the name of a cohort holds it: upper case, single blanks, none of the signs that make a name."""
    words = " ".join(text.upper().replace("&", " AND ").replace("=", " ").split())
    return words[:LONGEST_VALUE].rstrip() or UNKNOWN
