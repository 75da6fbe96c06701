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

import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.reading import CohortFacts
from core.errors import ConfigurationError

UNKNOWN = "UNKNOWN"
ALL = "all"
AND = " & "
AGE_EDGES = (18.0, 40.0, 60.0, 80.0)  # 0-17, 18-39, 40-59, 60-79, 80+
KVP_EDGES = (90.0, 110.0)  # without a grid, with one, high
LONGEST_VALUE = 64
_NUMBERS = ("age", "kvp")
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
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    try:
        return parse_definition(document)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """The tables `cohorts` and `bands` of a TOML document; ConfigurationError names the entry that is wrong."""
    if unknown := sorted(set(document) - {"cohorts", "bands"}):
        raise ConfigurationError(f"unknown tables: {', '.join(unknown)}; there are [cohorts.NAME] and [bands.NAME]")
    bands = tuple(_band(name, entry) for name, entry in _entries(document, "bands"))
    known = (*_BUILT_IN, *(band.name for band in bands))
    rules = tuple(_rule(name, entry, known) for name, entry in _entries(document, "cohorts"))
    names = [*known, *(rule.name for rule in rules)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"these names are taken: {', '.join(twice)}")
    return Definition(rules=rules, bands=bands)


def _entries(document: Mapping[str, Any], table: str) -> list[tuple[str, Mapping[str, Any]]]:
    entries = document.get(table, {})
    if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
        raise ConfigurationError(f"[{table}] holds tables: [{table}.NAME]")
    for name in entries:
        if not name.replace("_", "a").isalnum() or not name.isascii() or len(name) > 32:
            raise ConfigurationError(f"[{table}.{name}]: a name has up to 32 letters, digits and _")
    return list(entries.items())


def _band(name: str, entry: Mapping[str, Any]) -> Band:
    where, over, edges = f"[bands.{name}]", entry.get("over"), entry.get("edges")
    if unknown := sorted(set(entry) - {"over", "edges"}):
        raise ConfigurationError(f"{where}: unknown keys {', '.join(unknown)}; there are over and edges")
    if over not in _NUMBERS:
        raise ConfigurationError(f"{where}: over must be one of {', '.join(_NUMBERS)}")
    if not isinstance(edges, list) or not edges or not all(_is_number(edge) and edge > 0 for edge in edges):
        raise ConfigurationError(f"{where}: edges must be a list of numbers above 0")
    if edges != sorted(set(edges)):
        raise ConfigurationError(f"{where}: edges must rise")
    return Band(name=name, over=str(over), edges=tuple(float(edge) for edge in edges))


def _rule(name: str, entry: Mapping[str, Any], known: Sequence[str]) -> Rule:
    where = f"[cohorts.{name}]"
    if not entry:
        raise ConfigurationError(f"{where}: say at least one attribute and its values")
    one_of = {}
    for attribute, values in entry.items():
        if attribute not in known:
            raise ConfigurationError(f"{where}: there is no attribute {attribute}; there are {', '.join(known)}")
        listed = [values] if isinstance(values, str) else values
        if not isinstance(listed, list) or not listed or not all(isinstance(value, str) for value in listed):
            raise ConfigurationError(f"{where}: {attribute} takes a text or a list of texts")
        one_of[attribute] = frozenset(value.lower() if attribute == "portable" else _word(value) for value in listed)
    return Rule(name=name, one_of=one_of)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(text: str) -> str:
    """A value as it stands in a cohort's name: upper case, single blanks, none of the signs that make a name."""
    words = " ".join(text.upper().replace("&", " AND ").replace("=", " ").split())
    return words[:LONGEST_VALUE].rstrip() or UNKNOWN
