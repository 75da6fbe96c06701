"""The web process: every route guarded, every use recorded, nothing about a person, nothing for other machines."""

import re
import socket
import threading
import time

import pytest
import uvicorn
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.processes.heartbeat import heartbeat, start_of, starting
from api.web.app import create_app
from api.web.permissions import RECORDED, Permission
from api.web.problems import SECURITY_HEADERS
from api.web.process import serve_web
from core.domain.registration import ModelState
from core.domain.study import StudyState
from core.errors import ConfigurationError, Unavailable
from core.settings import Settings
from core.store.keys import SiteKey
from core.store.store import open_store
from pipeline.installed_models import site_registry
from pipeline.intake import StoreIntake
from pipeline.registration.registration import change_state
from pipeline.watch.status import status_of
from tests.e2e.studies import radiograph

LOCAL = ("127.0.0.1", 50000)


@pytest.fixture
def settings(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0)
    settings.data_dir.mkdir()
    SiteKey.create(settings.site_key_file)
    return settings


@pytest.fixture
def store(settings):
    store = open_store(settings)
    yield store
    store.close()


@pytest.fixture
def app(store, settings):
    return create_app(store, settings)


@pytest.fixture
def client(app):
    return TestClient(app, base_url="http://127.0.0.1", client=LOCAL, raise_server_exceptions=False)


@pytest.fixture
def image(store, tmp_path):
    """A kept radiograph full of canaries."""
    from dicom_node.files import receive_file

    image = radiograph(1, bright=True)
    path = tmp_path / "image.dcm"
    path.write_bytes(image.part10)
    intake = StoreIntake(store, node="test")
    intake.association_opened("a", "MODALITY", "127.0.0.1")
    intake.keep(receive_file(path, association_id="a", calling_ae_title="MODALITY"))
    return image


def actions(store):
    return [(link.event.action, link.event.outcome) for link in store.trail.events()]


def test_health_says_only_that_this_process_answers(client):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_not_ready_names_what_is_missing_and_ready_needs_node_and_worker(client, store):
    before = client.get("/readyz")
    assert before.status_code == 503
    assert before.json()["checks"] == {
        "database": "ok",
        "disk": "ok",
        "node": "no node has given a heartbeat",
        "worker": "no worker has given a heartbeat",
    }
    with heartbeat(store, "node"), heartbeat(store, "worker/worker"):
        deadline = time.monotonic() + 10
        while client.get("/readyz").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.get("/readyz").json()["status"] == "ready"
    assert client.get("/readyz").status_code == 503


def test_without_a_live_model_it_is_not_ready_and_says_what_that_means(client, store, settings):
    (shipped,) = site_registry(settings, store).packages
    model = shipped.model
    assert "models" not in client.get("/readyz").json()["checks"]
    change_state(model.name, model.version, ModelState.RETIRED, settings, store, by="Dr. A", because="a trial")
    with heartbeat(store, "node"), heartbeat(store, "worker/worker"):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["models"].startswith("no model is live, so every study is refused")
    assert status_of(store, settings, ()).warnings[0] == answer.json()["checks"]["models"]


def test_below_the_watermark_it_is_not_ready(store, settings):
    full = settings.model_copy(update={"minimum_free_bytes": 10**18})
    client = TestClient(create_app(store, full), base_url="http://127.0.0.1", client=LOCAL)
    said = client.get("/readyz").json()["checks"]["disk"]
    assert re.fullmatch(r"\d+\.\d GiB free, below the 931322575 GiB of minimum_free_bytes", said)


def test_a_worker_that_loads_its_models_is_starting(client, store):
    with start_of(store, "worker/worker"):
        wait = time.monotonic() + 10
        while not starting(store) and time.monotonic() < wait:
            time.sleep(0.05)
        said = client.get("/readyz").json()["checks"]["worker"]
    assert said == "the worker is starting (models are loading)"
    assert client.get("/readyz").json()["checks"]["worker"] == "no worker has given a heartbeat"


def test_a_database_that_is_away_makes_it_not_ready_but_alive(client, app, store):
    def away():
        raise Unavailable("the database is busy or away; it will be tried again")

    app.state.overview.ping = away
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_metrics_count_what_the_store_holds(client, image):
    text = client.get("/metrics").text
    assert 'candor_studies{state="receiving"} 1.0' in text
    assert 'candor_received_instances_total{role="source"} 1.0' in text
    assert "candor_free_bytes" in text
    assert "candor_model_runs_total 0.0" in text


def test_studies_appear_under_their_pseudonyms_only(client, store, image):
    [study] = client.get("/api/studies").json()["studies"]
    assert study["study_id"] == store.study_id_of(image.study_instance_uid)
    assert study["state"] == StudyState.RECEIVING
    assert study["images"] == 1
    assert client.get(f"/api/studies/{study['study_id']}").json()["report"] is None


@pytest.mark.parametrize(
    "path", ["/api/studies", "/api/studies/{id}", "/metrics", "/readyz", "/api/studies?limit=CANARY"]
)
def test_no_answer_holds_a_name_or_a_uid(client, store, image, path):
    text = client.get(path.format(id=store.study_id_of(image.study_instance_uid))).text
    for canary in ("canary", image.study_instance_uid.lower(), image.sop_instance_uid.lower()):
        assert canary not in text.lower()


def test_errors_are_problem_details_that_do_not_repeat_the_request(client):
    for path, status in (("/nothing/CANARY", 404), ("/api/studies/canary", 404), ("/api/studies?limit=CANARY", 422)):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "canary" not in answer.text.lower()


def test_an_unexpected_error_is_a_problem_without_its_words(client, app):
    def broken(*_, **__):
        raise ValueError("CANARY^NAME")

    app.state.overview.times = broken
    answer = client.get("/api/studies")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "CANARY" not in answer.text
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_every_answer_bears_the_security_headers(client):
    for path in ("/healthz", "/nothing", "/api/studies?limit=0"):
        headers = client.get(path).headers
        assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_every_route_names_the_permission_it_needs(app):
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes} == {
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/studies",
        "/api/studies/{study_id}",
        "/api/studies/{study_id}/explanations",
        "/api/studies/{study_id}/explanations/{job_id}",
    }
    assert len(routes) == len(app.routes), "a route that is not ours: documentation pages, mounts"
    for route in routes:
        guards = [getattr(dependency.call, "permission", None) for dependency in route.dependant.dependencies]
        assert any(isinstance(guard, Permission) for guard in guards), route.path


def test_looking_at_studies_is_recorded_and_health_checks_are_not(client, store):
    client.get("/healthz")
    client.get("/metrics")
    client.get("/api/studies")
    client.get("/api/studies/abc")
    client.post("/api/studies/abc/explanations", json={"finding": "x"})
    assert actions(store) == [
        ("web.studies.list", "success"),
        ("web.study.see", "success"),
        ("web.study.explain", "success"),
    ]
    assert {f"web.{permission}" for permission in RECORDED} == {action for action, _ in actions(store)}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/studies", "/api/studies/abc"])
def test_other_addresses_and_proxies_are_refused_and_recorded(app, store, path):
    unrelated = TestClient(app, base_url="http://127.0.0.1", client=("192.0.2.7", 1))
    proxied = TestClient(app, base_url="http://127.0.0.1", client=LOCAL, headers={"X-Forwarded-For": "192.0.2.7"})
    for client in (unrelated, proxied):
        answer = client.get(path)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    assert [outcome for _, outcome in actions(store)] == ["refused", "refused"]


def test_a_page_that_renames_itself_to_loopback_gets_nothing(app):
    rebound = TestClient(app, base_url="http://evil.example", client=LOCAL)
    assert rebound.get("/api/studies").status_code == 400


def test_only_get_is_answered(client):
    assert client.post("/api/studies").status_code == 405
    assert client.delete("/api/studies/abc").status_code == 405


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "pacs.example"])
def test_it_refuses_to_listen_where_others_can_reach_it(store, settings, address):
    with pytest.raises(ConfigurationError, match="no accounts yet"):
        create_app(store, settings.model_copy(update={"web_host": address}))


def test_a_taken_port_is_reported_in_one_sentence(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="web_port"):
            serve_web(settings.model_copy(update={"web_port": taken.getsockname()[1]}))


def test_it_answers_over_a_real_socket(app):
    import httpx2

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/studies"
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert httpx2.get(url).json() == {"studies": []}
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_no_form_of_another_site_can_ask_for_an_explanation(client, store, image, content_type):
    """What a browser sends across sites without asking us first is none of the types that are taken."""
    study_id = store.study_id_of(image.study_instance_uid)
    answer = client.post(
        f"/api/studies/{study_id}/explanations",
        content=b'{"finding": "bright_patch"}',
        headers={"content-type": content_type},
    )
    assert answer.status_code in (415, 422)
    assert store.explanations.of_study(study_id) == []


def test_a_study_without_a_report_has_nothing_to_explain(client, store, image):
    study_id = store.study_id_of(image.study_instance_uid)
    answer = client.post(f"/api/studies/{study_id}/explanations", json={"finding": "bright_patch"})
    assert answer.status_code == 400
    assert "no report" in answer.json()["detail"]
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/api/studies/{study_id}/explanations/none").status_code == 404


def test_a_job_is_seen_under_its_own_study_only(client, store, image):
    study_id = store.study_id_of(image.study_instance_uid)
    job = store.explanations.ask(study_id, "bright_patch", "shap")
    assert client.get(f"/api/studies/{study_id}/explanations/{job.job_id}").json()["state"] == "queued"
    assert client.delete(f"/api/studies/other/explanations/{job.job_id}").status_code == 404
    assert client.delete(f"/api/studies/{study_id}/explanations/{job.job_id}").json()["state"] == "cancelled"
