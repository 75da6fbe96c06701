"""Settings in the environment: CANDOR_ and the name of a setting; lists and tables as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from core.settings.faults import did_you_mean, quoted

PREFIX = "CANDOR_"
FOLDER_VARIABLE = f"{PREFIX}DATA"


@contextmanager
def only_these_variables(*names: str) -> Iterator[None]:
    """Hide what the environment says of all settings but `names`, from this process and from children it starts.

    For commands that set up a data folder of their own, in a container that may have set CANDOR_KEY_FILE.
    """
    kept = {PREFIX + name.upper() for name in names}
    hidden = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX) and key not in kept}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def without_variables(names: Sequence[str]) -> Iterator[None]:
    """Hide these variables while the block runs."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def variable_of(setting: str) -> str | None:
    """The variable that sets a setting, None when the environment does not say it."""
    name = PREFIX + setting.upper()
    return name if name in os.environ else None


def faults_of_environment(settings: Sequence[str], structured: Sequence[str]) -> dict[str, str]:
    """By variable, what is wrong with it: a name that no setting has, or a list or table that is not JSON.

    `structured`: the settings that are lists or tables.
    """
    known = {PREFIX + name.upper() for name in settings if name != "data_dir"} | {FOLDER_VARIABLE}
    faults = {}
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX)):
        if variable not in known:
            nearest = did_you_mean(variable, sorted(known))
            faults[variable] = f"the environment sets {quoted(variable)[1:-1]}, which Candor does not know{nearest}"
        elif variable.removeprefix(PREFIX).lower() in structured and not _is_json(os.environ[variable]):
            faults[variable] = f"the environment variable {variable} must be a list or a table in JSON"
    return faults


def _is_json(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(text), list | dict)
    return False
