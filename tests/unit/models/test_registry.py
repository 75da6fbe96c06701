"""Nothing runs that was not registered as it is: bytes, signatures, states, and who may change them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from core.documents.reading import read_document, text_of
from core.domain.registration import ModelState, Registration, SecondReader
from core.errors import ConfigurationError, IntegrityError
from core.settings import Settings
from core.store.store import Store, open_store
from core.store.tables.models import model_versions
from explain.gate.document import Explanation
from explain.gate.result import withheld_reason
from fairness.audit import nouns
from fairness.audit.document import AuditDocument
from models.package.format import load_package
from models.package.shipped import pinned_files
from models.package.signatures import new_key, sign_package
from models.registry import ZOO
from pipeline.data_folder import make_data_folder
from pipeline.installed_models import NO_LIVE_MODEL, model_warnings, say_whether_any_is_live, site_registry
from pipeline.registration import registration
from pipeline.registration.registration import change_state
from tests.known_model import make_known_model, make_known_volume_model, pass_the_gate

VERSION = load_package(ZOO / "chest_radiograph").model.version
SHIPPED = f"chest_radiograph {VERSION}"


REASON = {"by": "Dr. A", "because": "it is not needed"}


def register(folder: Path, settings: Settings, store: Store, **how) -> Registration:
    """Without running the gate for maps, which takes seconds: the tests about gates call the real one."""
    return registration.register(folder, settings, store, may_run_checks=False, **how)


def register_live(folder: Path, settings: Settings, store: Store) -> Registration:
    """The same for a model that reads before the shipped one, as in a run for which a person named it."""
    return register(folder, settings, store, state=ModelState.LIVE, instead_of_shipped=True)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Settings, Store]]:
    settings = make_data_folder(tmp_path / "data")
    store = open_store(settings)
    yield settings, store
    store.close()


def states(house: tuple[Settings, Store]) -> dict[str, ModelState]:
    """Of every version that verifies."""
    entries = site_registry(*house).entries
    return {f"{e.package.model.name} {e.package.model.version}": e.state for e in entries}


def refusals(house: tuple[Settings, Store]) -> dict[str, str]:
    return {f"{r.name or r.folder.name} {r.version}".strip(): str(r.reason) for r in site_registry(*house).refused}


def trusting(settings: Settings, *keys: str, required: bool = False) -> Settings:
    return settings.model_copy(update={"trusted_model_keys": keys, "require_model_signature": required})


def events(store: Store) -> list[tuple[str, str]]:
    return [(link.event.action, link.event.subject) for link in store.trail.events()]


def test_a_registered_package_is_copied_recorded_and_selected_first(house, tmp_path: Path) -> None:
    settings, store = house
    folder = make_known_model(tmp_path / "packages")
    registration = register_live(folder, settings, store)
    shutil.rmtree(folder)
    (live, *_) = site_registry(settings, store).packages
    assert (live.model.name, live.folder) == ("bright_patch", settings.data_dir / "models" / "bright_patch" / "1.0.0")
    assert registration.files == live.files
    assert registration.registered_by
    assert registration.registered_at
    assert states(house) == {"bright_patch 1.0.0": ModelState.LIVE, SHIPPED: ModelState.LIVE}
    assert events(store) == [("model.registered", "bright_patch 1.0.0")]
    assert store.trail.verify() == []


def test_the_same_bytes_again_change_nothing_and_other_bytes_are_refused(house, tmp_path: Path) -> None:
    settings, store = house
    folder = make_known_model(tmp_path / "packages")
    first = register(folder, settings, store)
    assert register(folder, settings, store) == first
    (folder / "configs" / "metadata.json").write_text('{"version": "1.0.0", "name": "Another"}')
    with pytest.raises(IntegrityError, match="registered with other bytes; a version never changes"):
        register(folder, settings, store)
    change_state("bright_patch", "1.0.0", ModelState.RETIRED, settings, store, **REASON)
    with pytest.raises(IntegrityError, match="registered with other bytes"):
        register(folder, settings, store)
    assert refusals(house) == {}
    assert not list((settings.data_dir / "models").glob(".incoming*"))


def test_images_for_a_version_that_is_registered_are_not_passed_over_in_silence(house, tmp_path: Path) -> None:
    settings, store = house
    folder = make_known_model(tmp_path / "packages")
    first = register(folder, settings, store)
    with pytest.raises(ConfigurationError, match=r"bright_patch 1\.0\.0 is registered, .* --images is for a new"):
        register(folder, settings, store, data=tmp_path)
    assert register(folder, settings, store) == first


def test_a_shipped_version_can_be_neither_registered_nor_replaced(house, tmp_path: Path) -> None:
    settings, store = house
    with pytest.raises(ConfigurationError, match="ships with Candor"):
        register(ZOO / "chest_radiograph", settings, store)
    impostor = make_known_model(tmp_path, name="chest_radiograph", version=VERSION)
    with pytest.raises(ConfigurationError, match="ships with Candor"):
        register(impostor, settings, store)


@pytest.mark.parametrize("name", ["models/model.onnx", "candor.json", "configs/metadata.json"])
def test_one_flipped_byte_in_any_file_refuses_the_version_and_no_other(house, tmp_path: Path, name: str) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    path = settings.data_dir / "models" / "bright_patch" / "1.0.0" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert set(states(house)) == {SHIPPED}
    assert set(refusals(house)) == {"bright_patch 1.0.0"}


def test_exchanged_weights_with_a_matching_description_are_noticed(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    other = make_known_model(tmp_path / "other", change={"intended_use": "Anything at all."})
    installed = settings.data_dir / "models" / "bright_patch" / "1.0.0"
    shutil.rmtree(installed)
    shutil.copytree(other, installed)
    load_package(installed)  # in itself it is right
    assert "is not what was registered (candor.json was changed)" in refusals(house)["bright_patch 1.0.0"]


def test_a_package_that_somebody_dropped_into_the_models_folder_does_not_run(house, tmp_path: Path) -> None:
    settings, _ = house
    make_known_model(settings.data_dir / "models")
    assert "bright_patch 1.0.0" not in states(house)
    assert "is not registered; do it with: candor models register" in refusals(house)["bright_patch"]


def test_a_record_that_was_changed_in_the_database_refuses_its_version(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    change_state("bright_patch", "1.0.0", ModelState.RETIRED, settings, store, **REASON)
    with store.engine.begin() as connection:
        record = {**json.loads(store.models.records()[0].text), "state": "live"}
        connection.execute(update(model_versions).values(record=record))
    assert "was changed outside Candor" in refusals(house)["bright_patch 1.0.0"]
    with pytest.raises(IntegrityError, match="was changed outside Candor"):
        store.models.change_state("bright_patch", "1.0.0", ModelState.LIVE, "test")


def test_a_record_moved_to_another_version_refuses_it(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    with store.engine.begin() as connection:
        connection.execute(update(model_versions).values(version="2.0.0"))
    assert "was changed outside Candor" in refusals(house)["bright_patch 2.0.0"]


def test_files_that_are_gone_are_reported_and_those_of_a_retired_version_are_not_missed(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    shutil.rmtree(settings.data_dir / "models" / "bright_patch")
    assert "are gone" in refusals(house)["bright_patch 1.0.0"]
    store.models.change_state("bright_patch", "1.0.0", ModelState.RETIRED, "test")
    assert refusals(house) == {}


def test_a_new_version_begins_as_a_shadow_and_takes_over_only_on_command(house, tmp_path: Path) -> None:
    settings, store = house
    register_live(make_known_model(tmp_path / "1"), settings, store)
    register(make_known_model(tmp_path / "2", version="2.0.0"), settings, store)
    assert states(house)["bright_patch 2.0.0"] is ModelState.SHADOW
    assert [package.model.version for package in site_registry(settings, store).shadows] == ["2.0.0"]
    change_state("bright_patch", "2.0.0", ModelState.LIVE, settings, store)
    assert states(house)["bright_patch 1.0.0"] is ModelState.RETIRED
    assert states(house)["bright_patch 2.0.0"] is ModelState.LIVE
    change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store)
    assert states(house)["bright_patch 2.0.0"] is ModelState.RETIRED
    assert events(store) == [
        ("model.registered", "bright_patch 1.0.0"),
        ("model.registered", "bright_patch 2.0.0"),
        ("model.retired", "bright_patch 1.0.0"),
        ("model.live", "bright_patch 2.0.0"),
        ("model.retired", "bright_patch 2.0.0"),
        ("model.live", "bright_patch 1.0.0"),
    ]
    assert store.trail.verify() == []


def test_a_second_model_for_the_same_images_is_a_shadow_until_a_person_signs(house, tmp_path: Path) -> None:
    settings, store = house
    register_live(make_known_model(tmp_path / "1"), settings, store)
    register(make_known_model(tmp_path / "2", name="second_look"), settings, store)
    assert states(house)["second_look 1.0.0"] is ModelState.SHADOW
    with pytest.raises(ConfigurationError, match=r"takes images that bright_patch 1\.0\.0 reads"):
        change_state("second_look", "1.0.0", ModelState.LIVE, settings, store)
    with pytest.raises(ConfigurationError, match="--as NAME --because"):
        register(make_known_model(tmp_path / "3", name="third"), settings, store, state=ModelState.LIVE)
    signature = SecondReader(by="Dr. A", because="to compare")
    change_state("second_look", "1.0.0", ModelState.LIVE, settings, store, second_reader=signature)
    registry = site_registry(settings, store)
    assert {p.model.name: p.is_second_reader for p in registry.packages} == {
        "bright_patch": False,
        "second_look": True,
        "chest_radiograph": False,
    }
    entry = registry.entry("second_look")
    assert entry.registration is not None
    assert (entry.registration.second_reader_signed_by, entry.registration.second_reader_because) == (
        "Dr. A",
        "to compare",
    )
    change_state("second_look", "1.0.0", ModelState.SHADOW, settings, store)
    with pytest.raises(ConfigurationError, match="sign it"):
        change_state("second_look", "1.0.0", ModelState.LIVE, settings, store)


def test_a_new_name_starts_as_a_shadow_and_takes_the_place_of_the_shipped_model_only_when_a_person_decides(
    house, tmp_path: Path
) -> None:
    settings, store = house
    assert register(make_known_model(tmp_path), settings, store).state is ModelState.SHADOW
    assert states(house) == {"bright_patch 1.0.0": ModelState.SHADOW, SHIPPED: ModelState.LIVE}
    with pytest.raises(ConfigurationError, match=f"takes images that {SHIPPED} reads; for both to read them, sign it"):
        change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store)
    signature = SecondReader(by="Dr. A", because="both are of use")
    change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store, second_reader=signature)
    assert site_registry(settings, store).find("bright_patch").is_second_reader
    change_state("chest_radiograph", VERSION, ModelState.RETIRED, settings, store, **REASON)
    assert "signed by Dr. A, because it is not needed" in [*store.trail.events()][-1].event.reason
    change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store)
    assert not site_registry(settings, store).find("bright_patch").is_second_reader


def test_the_next_version_of_a_model_that_reads_needs_no_signature(house, tmp_path: Path) -> None:
    settings, store = house
    change_state("chest_radiograph", VERSION, ModelState.RETIRED, settings, store, **REASON)
    register(make_known_model(tmp_path / "1"), settings, store)
    change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store)
    register(make_known_model(tmp_path / "2", version="2.0.0"), settings, store)
    change_state("bright_patch", "2.0.0", ModelState.LIVE, settings, store)
    assert states(house)["bright_patch 1.0.0"] is ModelState.RETIRED


def test_a_model_of_other_images_needs_no_signature(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_volume_model(tmp_path), settings, store)
    assert states(house)["bright_block 1.0.0"] is ModelState.SHADOW
    change_state("bright_block", "1.0.0", ModelState.LIVE, settings, store)
    assert states(house) == {"bright_block 1.0.0": ModelState.LIVE, SHIPPED: ModelState.LIVE}


@pytest.mark.parametrize("state", [ModelState.RETIRED, ModelState.SHADOW])
@pytest.mark.parametrize("given", [{}, {"by": "Dr. A"}, {"because": "x"}, {"by": " ", "because": "x"}])
def test_what_leaves_no_live_model_needs_a_name_and_a_reason(house, state: ModelState, given: dict[str, str]) -> None:
    settings, store = house
    with pytest.raises(ConfigurationError, match="the only live model: without it every study is refused; say who"):
        change_state("chest_radiograph", VERSION, state, settings, store, **given)
    assert states(house) == {SHIPPED: ModelState.LIVE}
    assert say_whether_any_is_live(settings, store) == ""
    change_state("chest_radiograph", VERSION, state, settings, store, **REASON)
    assert say_whether_any_is_live(settings, store).startswith("no model is live, so every study is refused")
    assert model_warnings(settings, store) == (NO_LIVE_MODEL,)
    (event,) = [link.event for link in store.trail.events() if link.event.action == f"model.{state}"]
    assert "signed by Dr. A, because it is not needed" in event.reason


def test_a_version_that_is_not_live_is_retired_for_a_reason_and_shadowed_without(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store)
    with pytest.raises(ConfigurationError, match="would not run any more; say who decides that and why"):
        change_state("bright_patch", "1.0.0", ModelState.RETIRED, settings, store)
    change_state("bright_patch", "1.0.0", ModelState.SHADOW, settings, store)


def test_two_live_models_of_which_one_keeps_the_other_from_reading_are_named(house, tmp_path: Path) -> None:
    """A site of before this rule: its own model reads, and the shipped one is live and does not."""
    settings, store = house
    register_live(make_known_model(tmp_path), settings, store)
    (warning,) = model_warnings(settings, store)
    assert warning.startswith(f"bright_patch 1.0.0 and {SHIPPED} are live and take the same images; bright_patch")
    signature = SecondReader(by="Dr. A", because="both are of use")
    change_state("chest_radiograph", VERSION, ModelState.LIVE, settings, store, second_reader=signature)
    assert model_warnings(settings, store) == ()


def test_a_shipped_version_can_be_retired_and_comes_back(house) -> None:
    settings, store = house
    change_state("chest_radiograph", VERSION, ModelState.RETIRED, settings, store, **REASON)
    assert site_registry(settings, store).packages == ()
    change_state("chest_radiograph", VERSION, ModelState.LIVE, settings, store)
    assert states(house) == {SHIPPED: ModelState.LIVE}


def test_what_does_not_verify_cannot_be_made_live(house, tmp_path: Path) -> None:
    settings, store = house
    register(make_known_model(tmp_path), settings, store, state=ModelState.SHADOW)
    (settings.data_dir / "models" / "bright_patch" / "1.0.0" / "added.txt").write_text("new")
    with pytest.raises(ConfigurationError, match="no model bright_patch"):
        change_state("bright_patch", "1.0.0", ModelState.LIVE, settings, store)
    change_state("bright_patch", "1.0.0", ModelState.RETIRED, settings, store, **REASON)


def test_a_package_that_does_not_run_is_not_registered(house, tmp_path: Path) -> None:
    settings, store = house
    folder = make_known_model(tmp_path, change={"outputs": {"logits": "nothing"}})
    with pytest.raises(ConfigurationError):
        register(folder, settings, store)
    assert store.models.records() == []
    assert list((settings.data_dir / "models").iterdir()) == []


def test_a_signature_of_a_trusted_maker_is_kept_on_record(house, tmp_path: Path) -> None:
    settings, store = house
    folder, key = make_known_model(tmp_path), new_key(tmp_path / "maker.key")
    assert (tmp_path / "maker.key").stat().st_mode & 0o077 == 0
    assert sign_package(folder, tmp_path / "maker.key") == key
    assert register(folder, trusting(settings, key), store).signed_by == key
    house = (trusting(settings, key), store)
    assert states(house)["bright_patch 1.0.0"] is ModelState.SHADOW
    distrusting = (settings, store)  # the key was taken out of the settings: the maker lost it
    assert "trusted_model_keys does not hold" in refusals(distrusting)["bright_patch 1.0.0"]


@pytest.mark.parametrize("attack", ["file", "signature", "key", "garbage"])
def test_a_wrong_signature_is_always_refused(house, tmp_path: Path, attack: str) -> None:
    settings, store = house
    folder, key = make_known_model(tmp_path), new_key(tmp_path / "maker.key")
    sign_package(folder, tmp_path / "maker.key")
    document = json.loads((folder / "signature.json").read_text())
    if attack == "file":
        (folder / "configs" / "metadata.json").write_text("{}")
    elif attack == "signature":
        document["signature"] = document["signature"][:10] + "AAAA" + document["signature"][14:]
    elif attack == "key":
        document["public_key"] = new_key(tmp_path / "other.key")
    else:
        document = {"public_key": key}
    (folder / "signature.json").write_text(json.dumps(document))
    for trusted in (settings, trusting(settings, key)):
        with pytest.raises(IntegrityError, match=r"signature of bright_patch (is wrong|cannot be read)"):
            register(folder, trusted, store)


def test_a_signature_by_somebody_else_is_refused_and_one_can_be_demanded(house, tmp_path: Path) -> None:
    settings, store = house
    folder, key = make_known_model(tmp_path), new_key(tmp_path / "maker.key")
    strict = trusting(settings, key, required=True)
    with pytest.raises(IntegrityError, match="is not signed by its maker"):
        register(folder, strict, store)
    sign_package(folder, tmp_path / "maker.key")
    with pytest.raises(IntegrityError, match="trusted_model_keys does not hold"):
        register(folder, settings, store)
    assert register(folder, strict, store).signed_by == key


def test_expressions_are_taken_from_a_trusted_maker_only(house, tmp_path: Path) -> None:
    settings, store = house
    folder, key = make_known_model(tmp_path), new_key(tmp_path / "maker.key")
    (folder / "configs" / "inference.json").write_text('{"device": "$1 + 1"}')
    with pytest.raises(IntegrityError, match="expression"):
        register(folder, trusting(settings, key), store)
    sign_package(folder, tmp_path / "maker.key")
    assert register(folder, trusting(settings, key), store).signed_by == key


def test_the_shipped_package_is_pinned_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = tmp_path / "zoo"
    shutil.copytree(ZOO, zoo)
    monkeypatch.setattr("models.registry.ZOO", zoo)
    from models.registry import load_registry

    assert load_registry().refused == ()
    for name in pinned_files("chest_radiograph"):
        path = zoo / "chest_radiograph" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        assert len(load_registry().refused) == 1, name
        path.write_bytes(whole)
    (zoo / "chest_radiograph" / "docs" / "more.txt").write_text("added")
    (refused,) = load_registry().refused
    assert "is not what Candor ships (docs/more.txt was added)" in str(refused.reason)


def audited(folder: Path, sensitivity: tuple[float, float, float], *, sha256: str = "") -> Path:
    """The package with a validation audit, in which women have this sensitivity (value, low, high)."""
    value, low, high = sensitivity
    made = load_package(folder)
    origin = nouns.Provenance(
        code_version="1", made_at="2026-11-24", source="tests", model_sha256=sha256 or made.model.sha256
    )
    row = nouns.Row(
        finding="bright_patch", metric="sensitivity", cohort="sex=F", value=value, low=low, high=high,
        n=500, positives=200, negatives=300,
    )  # fmt: skip
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "audit.json").write_text(text_of(AuditDocument.of(nouns.Audit(provenance=origin, rows=(row,)))))
    return folder


def policy(settings: Settings, level: str) -> None:
    text = f'[floors.sensitivity]\nlower_bound = 0.70\nlevel = "{level}"\n'
    (settings.data_dir / "policy.toml").write_text(text)


def test_the_policy_of_the_site_lets_in_warns_or_blocks(house, tmp_path: Path) -> None:
    settings, store = house
    weak = audited(make_known_model(tmp_path / "1"), (0.71, 0.64, 0.77))
    policy(settings, "block")
    with pytest.raises(ConfigurationError, match=r"the policy blocks it: fairness: .*women.*0\.64, under 0\.70"):
        register(weak, settings, store)
    assert store.models.records() == []
    assert not list((settings.data_dir / "models").glob("*/*"))
    assert [(link.event.action, link.event.outcome) for link in store.trail.events()] == [("model.blocked", "refused")]
    policy(settings, "warn")
    registered = register(weak, settings, store)
    assert (registered.verdict, registered.gates["fairness"].level) == ("warn", "warn")
    assert "0.64" in registered.gates["fairness"].reasons[0]
    strong = audited(make_known_model(tmp_path / "2", version="2.0.0"), (0.85, 0.80, 0.89))
    assert register(strong, settings, store).gates["fairness"].level == "ok"


def test_an_audit_of_other_weights_or_none_is_no_audit(house, tmp_path: Path) -> None:
    settings, store = house
    none = register(make_known_model(tmp_path / "1"), settings, store)
    assert "holds no audit" in none.gates["fairness"].reasons[0]
    other = audited(make_known_model(tmp_path / "2", version="2.0.0"), (0.85, 0.80, 0.89), sha256="0" * 64)
    assert "of other weights" in register(other, settings, store).gates["fairness"].reasons[0]


def signed(folder: Path, settings: Settings) -> Settings:
    """Sign a package; the settings of a site that trusts its maker."""
    key = new_key(folder.parent / "maker.key")
    sign_package(folder, folder.parent / "maker.key")
    return trusting(settings, key)


@pytest.mark.parametrize(("failed", "level", "words"), [((), "ok", ""), (("stability",), "warn", "failed stability")])
def test_a_failed_gate_for_maps_lets_the_model_in(
    house, tmp_path: Path, failed: tuple[str, ...], level: str, words: str
) -> None:
    settings, store = house
    folder = make_known_model(tmp_path)
    pass_the_gate(folder, load_package(folder).model.sha256, failed=failed)
    settings = signed(folder, settings)
    gate = registration.register(folder, settings, store).gates["explanation"]
    assert (gate.level, gate.passed, gate.made_here) == (level, level == "ok", False)
    assert words in "".join(gate.reasons)
    assert states((settings, store))["bright_patch 1.0.0"] is ModelState.SHADOW
    assert words in withheld_reason(site_registry(settings, store).find("bright_patch")).replace("the gate: ", "")


def without(folder: Path) -> None:
    (folder / "docs" / "explanation.json").unlink()


def of_other_weights(folder: Path) -> None:
    pass_the_gate(folder, "0" * 64)


def of_another_method(folder: Path) -> None:
    path = folder / "docs" / "explanation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"method": "grad_cam"}))


def as_it_was_made(folder: Path) -> None:
    """The known model says that it passed every test; the gate itself finds that it fails one."""


@pytest.mark.parametrize(
    ("change", "by_a_trusted_maker"),
    [(without, True), (of_other_weights, True), (of_another_method, True), (as_it_was_made, False)],
)
def test_a_gate_whose_result_is_not_to_be_relied_on_is_run_here(
    house, tmp_path: Path, change, by_a_trusted_maker: bool
) -> None:
    settings, store = house
    folder = make_known_model(tmp_path)
    change(folder)
    settings = signed(folder, settings) if by_a_trusted_maker else settings
    files = load_package(folder, settings.trusted_model_keys).files
    gate = registration.register(folder, settings, store).gates["explanation"]
    assert gate.made_here
    document = read_document(Explanation, text_of(gate.document), "the record")
    assert document.images.endswith("images of no patient")
    assert document.failed == ("weight randomisation", "faithfulness")
    package = site_registry(settings, store).find("bright_patch")
    assert package.files == files  # the maker's bytes stay the maker's
    assert "weight randomisation" in withheld_reason(package)


def test_without_leave_to_run_gates_nothing_is_run(house, tmp_path: Path) -> None:
    settings, store = house
    folder = make_known_model(tmp_path)
    (folder / "docs" / "explanation.json").unlink()
    gate = register(folder, settings, store).gates["explanation"]
    assert (gate.level, gate.passed) == ("warn", False)
    assert "has not been through" in withheld_reason(site_registry(settings, store).find("bright_patch"))
