"""The command line from the outside: exit codes, one sentence for each failure, and `candor serve` under fire."""

import json
import os
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from tests.e2e.house import environment, wait_until
from tests.e2e.reports import reports_by_study
from tests.e2e.studies import radiograph, send
from tests.known_model import make_known_model
from tests.ports import free_port

CANARIES = ("canary", "19750102")


def candor(*arguments, cwd, **more):
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=cwd,
        env={**environment(), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_one_sentence(answer, exit_code, *words):
    assert answer.returncode == exit_code, answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout
    assert answer.stderr.startswith("candor: ")
    assert len(answer.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in answer.stderr


def test_help_names_every_command(tmp_path):
    answer = candor("--help", cwd=tmp_path)
    for command in ("init", "serve", "node", "worker", "web", "status", "echo", "retry", "demo", "analyze"):
        assert command in answer.stdout


HEAVY = {"dbos", "sqlalchemy", "pydicom", "pynetdicom", "highdicom", "torch", "onnxruntime", "fastapi"} | {
    *("matplotlib", "polars", "numpy", "scipy")
}
SHOW_HEAVY = """
import sys
from api.cli.app import main
try:
    main()
except SystemExit as end:
    print("ended with", end.code, sorted(%r & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "code", "loaded"),
    [
        (["--help"], 0, []),
        (["models", "--help"], 0, []),
        (["train", "chest_radiograph", "--help"], 0, []),
        (["audit", "--no-such-option"], 2, []),
        (["evaluate"], 2, []),
        (["audit", "--site"], 2, []),
        (["node", "--data", "not-there"], 2, ["numpy"]),
        (["status", "--data", "not-there"], 2, ["numpy"]),
    ],
    ids=str,
)
def test_help_and_errors_at_the_keyboard_load_nothing_heavy(tmp_path, arguments, code, loaded):
    answer = subprocess.run(
        [sys.executable, "-c", SHOW_HEAVY % HEAVY, *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.stdout.splitlines()[-1] == f"ended with {code} {loaded}", answer.stderr


def test_the_node_loads_no_model_runtime_and_no_workflow_engine():
    source = "import sys, api.processes.node; print(*{'dbos', 'torch', 'onnxruntime', 'polars'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", source], env=environment(), capture_output=True, text=True, timeout=120, check=True
    )
    assert loaded.stdout.strip() == ""


def test_version(tmp_path):
    assert candor("--version", cwd=tmp_path).stdout.startswith("candor ")


def test_init_says_what_to_do_next_and_refuses_the_second_time(tmp_path):
    first = candor("init", "--data", "here", cwd=tmp_path)
    assert first.returncode == 0
    for word in ("AE title CANDOR", "port 11112", "[[destinations]]", "candor echo", "here.key"):
        assert word in first.stdout
    assert_one_sentence(candor("init", "--data", "here", cwd=tmp_path), 2, "already")


@pytest.mark.parametrize("command", [["status"], ["serve"], ["node"], ["worker"], ["web"], ["retry"], ["echo", "pacs"]])
def test_every_command_explains_a_missing_data_folder(tmp_path, command):
    assert_one_sentence(candor(*command, "--data", "nowhere", cwd=tmp_path), 2, "candor init")


def test_a_lost_key_a_wrong_setting_and_an_unknown_variable_are_explained(tmp_path):
    candor("init", "--data", "data", cwd=tmp_path)
    assert_one_sentence(candor("status", "--data", "data", cwd=tmp_path, CANDOR_PROT="104"), 2, "CANDOR_PROT")
    key = tmp_path / "data.key"
    key.rename(tmp_path / "away")
    assert_one_sentence(candor("serve", "--data", "data", cwd=tmp_path), 2, "site key", "backup")
    (tmp_path / "data" / "candor.toml").write_text("prot = 104")
    assert_one_sentence(candor("status", "--data", "data", cwd=tmp_path), 2, "prot")


def test_another_sites_key_is_an_integrity_error(tmp_path):
    for name in ("one", "two"):
        candor("init", "--data", name, cwd=tmp_path)
    (tmp_path / "two.key").replace(tmp_path / "one.key")
    assert_one_sentence(candor("status", "--data", "one", cwd=tmp_path), 6, "key")


def test_debug_shows_the_traceback_wherever_it_is(tmp_path):
    for arguments in (["--debug", "status", "--data", "x"], ["status", "--data", "x", "--debug"]):
        assert "Traceback" in candor(*arguments, cwd=tmp_path).stderr


def test_echo_times_a_destination_and_explains_silence(house, archive):
    answer = candor("echo", "ARCHIVE", "--data", str(house.data), cwd=house.folder)
    assert answer.returncode == 0
    assert "answered in" in answer.stdout
    archive.stop()
    assert_one_sentence(
        candor("echo", "ARCHIVE", "--data", str(house.data), cwd=house.folder), 5, "does not answer", "check"
    )
    assert_one_sentence(candor("echo", "OTHER", "--data", str(house.data), cwd=house.folder), 2, "known: ARCHIVE")


def test_a_taken_port_ends_serve_with_the_reason(house):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.port))
        taken.listen()
        answer = candor("serve", "--data", str(house.data), cwd=house.folder)
    assert answer.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {house.port}" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_serve_survives_its_children_and_no_canary_sings_anywhere(house, archive):
    house.start("serve")
    url = f"http://127.0.0.1:{house.web_port}"
    wait_until(lambda: answers(url, "/readyz") == 200, seconds=90, what="readiness")
    images = [radiograph(1, bright=True), radiograph(2, bright=False, change=hand)]
    send(images, house.port)
    wait_until(lambda: reports_by_study(archive), seconds=60, what="the report")

    worker = pid_of(house, "worker")
    os.kill(worker, signal.SIGKILL)
    send([radiograph(3, bright=True)], house.port)
    wait_until(lambda: len(reports_by_study(archive)) == 2, seconds=60, what="the report of the restarted worker")
    wait_until(
        lambda: 'candor_deliveries{destination="ARCHIVE",status="sent"} 8.0' in httpx2.get(url + "/metrics").text,
        seconds=30,
        what="all objects of all reports",
    )

    said = [httpx2.get(url + path).text for path in ("/metrics", "/api/studies", "/readyz", "/api/studies?limit=0")]
    studies = json.loads(said[1])["studies"]
    assert sorted(study["state"] for study in studies) == ["refused", "reported", "reported"]
    said += [httpx2.get(f"{url}/api/studies/{study['study_id']}").text for study in studies]
    assert 'candor_studies{state="reported"} 2.0' in said[0]

    status = candor("status", "--data", str(house.data), cwd=house.folder)
    found = json.loads(candor("status", "--json", "--data", str(house.data), cwd=house.folder).stdout)
    assert found["processes"] == ["node", "worker/worker"]
    assert found["destinations"][0]["sent"] == 8
    assert next(m["provider"] for m in found["models"] if m["name"] == "bright_patch").endswith("ExecutionProvider")
    said += [status.stdout, status.stderr, json.dumps(found)]

    process = house.processes.pop("serve")
    process.terminate()
    assert process.wait(timeout=40) == 0
    assert answers(url, "/healthz") is None
    for text in (*said, house.log()):
        for canary in (*CANARIES, *(image.study_instance_uid for image in images)):
            assert canary not in text.lower()


def test_settings_can_come_from_the_environment(tmp_path):
    make_known_model(tmp_path / "models")
    port = free_port()
    candor("init", "--data", "data", cwd=tmp_path, CANDOR_PORT=str(port))
    answer = candor("status", "--json", cwd=tmp_path, CANDOR_DATA="data", CANDOR_MODELS_DIR=str(tmp_path / "models"))
    assert "bright_patch" in [model["name"] for model in json.loads(answer.stdout)["models"]]


def hand(dataset):
    dataset.BodyPartExamined = "HAND"


def answers(url, path):
    try:
        return httpx2.get(url + path).status_code
    except httpx2.TransportError:
        return None


def pid_of(house, process):
    lines = [json.loads(line) for line in house.log().splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line["event"] == "process.started" and line["process"] == process][-1]
