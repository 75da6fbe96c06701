"""A model that is not what was registered is refused at load, by name, and the service stays up with the others."""

import json
import pickle
import subprocess

import pytest

from core.domain.registration import ModelState, SecondReader
from models.package.signatures import new_key, sign_package
from tests.e2e.house import environment, wait_until
from tests.e2e.studies import radiograph, send
from tests.known_model import make_known_model

NAME = "spoiled"


def flip_a_byte(installed):
    weights = installed / "models" / "model.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)


def sign_wrongly(installed):
    document = json.loads((installed / "signature.json").read_text())
    document["signature"] = "AAAA" + document["signature"][4:]
    (installed / "signature.json").write_text(json.dumps(document))


def hide_a_pickle(installed):
    (installed / "docs").mkdir(exist_ok=True)
    (installed / "docs" / "overlay.png").write_bytes(pickle.dumps({"weights": print}, 0))


ATTACKS = {
    flip_a_byte: "spoiled 1.0.0 is not what was registered (models/model.onnx was changed)",
    sign_wrongly: "the signature of spoiled 1.0.0 is wrong",
    hide_a_pickle: "docs/overlay.png in spoiled 1.0.0 is a pickle, which can run any code",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_bad_model_next_to_a_good_one_is_refused_and_the_study_is_read(house, archive, attack):
    key = new_key(house.folder / "maker.key")
    house.trust(key)
    package = make_known_model(house.folder / "bad", name=NAME)
    sign_package(package, house.folder / "maker.key")
    signature = SecondReader(by="Dr. A", because="it takes the images of the good model")
    house.register(package, state=ModelState.LIVE, second_reader=signature)
    if attack is hide_a_pickle:
        (house.data / "models" / NAME / "1.0.0" / "signature.json").unlink()
    attack(house.data / "models" / NAME / "1.0.0")

    house.start("serve")
    house.wait_ready()
    send([radiograph(1, bright=True)], house.port)
    wait_until(lambda: len(archive.filed) >= 4, seconds=90, what="the report by the good model")
    assert house.processes["serve"].poll() is None
    refused = [line for line in house.log().splitlines() if '"model.refused"' in line]
    assert any(f"{NAME} 1.0.0" in line and ATTACKS[attack] in line for line in refused)

    rows = {row["name"]: row for row in json.loads(house.run("status", "--json").stdout)["models"]}
    assert ATTACKS[attack] in rows[NAME]["error"]
    assert rows["bright_patch"]["error"] == ""
    verify = house.command("models", "verify", "--json")
    answer = subprocess.run(verify, cwd=house.folder, env=environment(), capture_output=True, text=True, check=False)
    assert answer.returncode == 6
    assert [
        row["error"] for row in json.loads(answer.stdout) if row["name"] == NAME and ATTACKS[attack] in row["error"]
    ]
