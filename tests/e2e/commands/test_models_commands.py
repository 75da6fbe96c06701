"""`candor models`: what a maker and a site type, and what is printed."""

import json
import subprocess
import sys

import pytest

from tests.e2e.house import environment
from tests.known_model import make_known_model


def fails(house, *arguments):
    """The exit code and what is said of a command that fails."""
    answer = subprocess.run(
        house.command(*arguments), cwd=house.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert "Traceback" not in answer.stderr
    return answer.returncode, answer.stderr + answer.stdout


def test_without_a_data_folder_one_sees_what_ships(tmp_path):
    def candor(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "api", "models", *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    (row,) = json.loads(candor("list", "--json").stdout)
    assert (row["name"], row["state"], row["origin"]) == ("chest_radiograph", "live", "shipped")
    shown = candor("show", "chest_radiograph")
    assert "any_abnormality" in shown.stdout, "whole names, in a terminal of 80 columns"
    assert "what ships with Candor" in shown.stderr
    named = candor("show", "chest_radiograph", "--data", "nowhere")
    assert named.returncode == 2
    assert "candor init" in named.stderr


@pytest.fixture
def maker(house):
    """A maker's key, and a second version of the known model that is not signed yet."""
    package = make_known_model(house.folder / "made", version="2.0.0")
    key = run_without_data(house, "models", "keygen", "maker.key").strip()
    return package, key


def run_without_data(house, *arguments):
    command = [part for part in house.command(*arguments) if part not in ("--data", str(house.data))]
    answer = subprocess.run(
        command, cwd=house.folder, env=environment(), capture_output=True, text=True, check=True, timeout=120
    )
    return answer.stdout


def test_a_publishers_package_from_the_key_to_the_registry_and_out_of_it(house, maker):
    package, key = maker
    assert "docs/README.md" in run_without_data(house, "models", "card", str(package))
    assert key in run_without_data(house, "models", "sign", str(package), "--key", "maker.key")
    code, said = fails(house, "models", "register", str(package))
    assert code == 6
    assert "trusted_model_keys does not hold" in said
    house.trust(key)
    registered = json.loads(house.run("models", "register", str(package), "--json").stdout)
    assert (registered["state"], registered["signed_by"]) == ("shadow", key)

    rows = json.loads(house.run("models", "list", "--json").stdout)
    assert [(row["name"], row["version"], row["state"]) for row in rows] == [
        ("bright_patch", "1.0.0", "live"),
        ("bright_patch", "2.0.0", "shadow"),
        (rows[2]["name"], rows[2]["version"], "live"),
    ]
    shown = json.loads(house.run("models", "show", "bright_patch", "2.0.0", "--json").stdout)
    assert shown["record"]["files"] == shown["files"] == registered["files"]
    assert shown["card"].endswith("models/bright_patch/2.0.0/docs/card.html")
    assert shown["accepts"]["modalities"] == ["CR", "DX"]
    assert "Bright patch" not in house.run("models", "show", "bright_patch", "2.0.0").stdout
    assert house.run("models", "show", "bright_patch", "2.0.0", "--card").stdout.startswith("# bright_patch 2.0.0")
    verified = json.loads(house.run("models", "verify", "bright_patch", "--json").stdout)
    assert [row["error"] for row in verified] == ["", ""]
    assert all("runs on" in row["proof"] for row in verified)
    code, said = fails(house, "models", "retire", "bright_patch", "2.0.0")
    assert code == 2
    assert 'candor models retire bright_patch 2.0.0 --as NAME --because "..."' in said
    signed = ("--as", "Dr. A", "--because", "it was a trial")
    assert "is retired now" in house.run("models", "retire", "bright_patch", "2.0.0", *signed).stdout
    code, said = fails(house, "models", "compare", "bright_patch", "1.0.0", "2.0.0")
    assert code == 2
    assert "has read no study as a shadow" in said
    with house.store() as store:
        assert store.trail.verify() == []
        actions = [link.event.action for link in store.trail.events() if link.event.action.startswith("model.")]
        assert "signed by Dr. A, because it was a trial" in str([*store.trail.events()][-1])
    assert actions == ["model.registered", "model.registered", "model.retired"]


def test_what_is_wrong_is_said_in_a_sentence(house):
    code, said = fails(house, "models", "show", "nothing")
    assert code == 2
    assert "no model nothing is installed" in said
    assert "is not a model package" in fails(house, "models", "register", str(house.folder))[1]
    assert "candor models new makes one" in fails(house, "models", "register", str(house.folder / "candor.toml"))[1]
    blank = ("--as", " ", "--because", " ")
    for command in ("live", "retire"):
        assert (
            "a signature is --as and --because" in fails(house, "models", command, "bright_patch", "1.0.0", *blank)[1]
        )
    assert "no model nothing 1 " in fails(house, "models", "retire", "nothing", "1")[1]
    assert "no model nothing" in fails(house, "models", "verify", "nothing")[1]
