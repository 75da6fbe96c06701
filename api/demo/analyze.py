"""`candor analyze`: the whole pipeline on files and folders, without a network.

The files come in as over one association that then closes, into a store under a throw-away key; the worker reads
them and delivers to a folder. What a script gets in results.json is therefore what a PACS would get, nothing less.
Files are taken study by study, so the first reports are made while later files are still being read.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.demo.printing import print_studies
from core.domain.registration import ModelState, SecondReader
from core.domain.report import ObjectKind
from core.domain.study import StudyState
from core.errors import ConfigurationError, InvalidStudy, Unavailable
from core.files import make_private_folder, open_private, write_durably
from core.log import configure_logging
from core.settings import Settings
from core.settings.destinations import FolderDestination
from core.settings.environment import only_these_variables
from core.settings.kinds import A_DAY_SECONDS
from core.store.keys import SiteKey
from core.store.store import Store, open_store
from core.store.studies.arrivals import Kept
from core.store.studies.overview import Overview, SentObject, StudyTimes
from core.wording import on_a_terminal
from datasets.pictures import is_picture, wrap_picture
from dicom_node.files import files_under, is_dicom, receive_file, study_of
from models.package.format import Accepts, load_package
from models.registry import ZOO, packages_in
from pipeline.installed_models import site_registry
from pipeline.intake import StoreIntake
from pipeline.registration.registration import account, change_state, register
from pipeline.results_json import ObjectEntry, StudyEntry
from pipeline.worker import Worker

RESULTS = "results.json"
LOG = "log.jsonl"
DESTINATION = "folder"
AE_TITLE = "ANALYZE"
MODELS = "CANDOR_MODELS_DIR"
_FROM_ENVIRONMENT = ("model_threads", "reading_threads", "log_level")
_UNDER_WAY = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.READING)
_FREE_BYTES = 256 * 1024**2
_LOOK_SECONDS = 0.1
_NEVER_SECONDS = A_DAY_SECONDS
_STALLED_SECONDS = 600.0


@dataclass
class Findings:
    """What became of the files."""

    studies: dict[str, str] = field(default_factory=dict)  # StudyInstanceUID -> pseudonym
    files: dict[str, list[Path]] = field(default_factory=dict)  # StudyInstanceUID -> what it was given as
    rejected: list[dict[str, str]] = field(default_factory=list)
    not_dicom: list[Path] = field(default_factory=list)

    def reject(self, path: Path, reason: str) -> None:
        self.rejected.append({"path": str(path), "reason": reason})


def analyze_paths(paths: Sequence[Path], out: Path, objects: str, models: Sequence[Path] = ()) -> int:
    """Analyse every file at or below `paths` into `out`; returns the exit code, 0 unless every study failed.

    `objects`: comma-separated kinds. `models`: the folders of packages, registered or not, that alone read. A PNG or
    JPEG is taken as an image that the first of them accepts, because it has no header that says what it is.
    Raises ConfigurationError for a wrong argument, InvalidStudy when there is nothing that could be analysed.
    """
    kinds = _kinds(objects)
    files = files_under(paths)
    _make_folder(out)
    console = Console(stderr=True, highlight=False)
    packages = list(models) or _named_by_environment(console)
    accepts = load_package((*models, *packages_in(ZOO))[0]).accepts
    with only_these_variables(*_FROM_ENVIRONMENT), ExitStack() as exit_stack:
        log = exit_stack.enter_context(open(out / LOG, "w", encoding="utf-8", opener=open_private))
        work = Path(exit_stack.enter_context(tempfile.TemporaryDirectory(prefix="candor-")))
        staging = Path(exit_stack.enter_context(tempfile.TemporaryDirectory(prefix=".candor-", dir=out)))
        settings = _settings(work, staging, kinds)
        configure_logging(json=True, level=settings.log_level, stream=log)
        progress = exit_stack.enter_context(_progress(console))
        files_by_study, findings = _sort(files, work / "pictures", accepts, progress)
        if not files_by_study:
            _tell(findings, console)
            raise InvalidStudy(_nothing(findings))
        with _working(settings, packages, is_alone=bool(models)) as store:
            _keep(files_by_study, store, findings, progress)
            _wait(store, len(findings.studies), progress)
            entries = [_entry(store, uid, study_id, staging, out) for uid, study_id in findings.studies.items()]
    _write(out, entries, findings)
    _tell(findings, console)
    print_studies(entries, findings.files)
    _summarise(entries, out)
    return 1 if all(entry.status == "failed" for entry in entries) else 0


def _named_by_environment(console: Console) -> list[Path]:
    """The packages of the folder that CANDOR_MODELS_DIR names; they read besides those that ship with Candor."""
    if MODELS not in os.environ:
        return []
    packages = packages_in(Path(os.environ[MODELS]))
    if not packages:
        console.print(f"{MODELS} names no folder with a package; only the models that ship with Candor read")
    return packages


def _kinds(objects: str) -> tuple[ObjectKind, ...]:
    names = [name.strip().lower() for name in objects.split(",") if name.strip()]
    known = [kind.value for kind in ObjectKind]
    if not names or set(names) - set(known):
        raise ConfigurationError(f"--objects takes a list of {', '.join(known)}, separated by commas")
    return tuple(ObjectKind(name) for name in dict.fromkeys(names))


def _make_folder(out: Path) -> None:
    try:
        make_private_folder(out)
        (out / RESULTS).unlink(missing_ok=True)  # what an earlier run said must not be taken for this one's
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written ({error.strerror}); choose another --out") from error


def _settings(work: Path, staging: Path, kinds: tuple[ObjectKind, ...]) -> Settings:
    """A house of its own for this run; only what _FROM_ENVIRONMENT names is taken from the environment."""
    data_dir = work / "data"
    data_dir.mkdir(mode=0o700)
    settings = Settings(
        data_dir=data_dir,
        minimum_free_bytes=_FREE_BYTES,
        quiet_seconds=0.0,
        maximum_wait_seconds=_NEVER_SECONDS,
        faithfulness_wait_seconds=_NEVER_SECONDS,
        destinations=(FolderDestination(name=DESTINATION, folder=staging, objects=kinds),),
    )
    SiteKey.create(settings.site_key_file)
    return settings


def _sort(
    files: Sequence[Path], pictures: Path, accepts: Accepts, progress: Progress
) -> tuple[dict[str, list[Path]], Findings]:
    """The files that hold together, by study, in the order in which the studies were met.

    A PNG or JPEG is written as DICOM into the folder `pictures` first.
    """
    files_by_study: dict[str, list[Path]] = {}
    findings = Findings()
    for path in progress.track(files, description="Looking at files"):
        if not is_dicom(path) and not is_picture(path):
            findings.not_dicom.append(path)
            continue
        try:
            taken = path if is_dicom(path) else wrap_picture(path, pictures, *_taken_as(accepts))
            study = study_of(taken)
            if taken not in files_by_study.setdefault(study, []):
                files_by_study[study].append(taken)
            findings.files.setdefault(study, []).append(path)
        except InvalidStudy as error:
            findings.reject(path, str(error))
    return files_by_study, findings


def _taken_as(accepts: Accepts) -> tuple[str, str, str]:
    """Modality, body part and view of a picture: the first of each that the model takes."""
    kinds = (accepts.modalities, accepts.body_parts, accepts.views)
    modality, body_part, view = (next((value for value in known if value), "") for known in kinds)
    return modality, body_part, view


@contextmanager
def _working(settings: Settings, packages: Sequence[Path], *, is_alone: bool) -> Iterator[Store]:
    """A store with a worker on it; `packages` are registered for this run, so that here too only what verifies runs.

    `is_alone`: the models that ship with Candor do not read in this run.
    """
    worker = Worker(settings, name="analyze")
    store = open_store(settings)
    try:
        shipped = [entry.package for entry in site_registry(settings, store).entries]
        for package in shipped if is_alone else ():
            if not any(package.folder.samefile(folder) for folder in packages):
                change_state(
                    package.model.name,
                    package.model.version,
                    ModelState.RETIRED,
                    settings,
                    store,
                    by=account(),
                    because=f"{MODELS} names others",
                )
        for number, folder in enumerate(packages):
            if any(package.folder.samefile(folder) for package in shipped):
                continue
            register(
                folder,
                settings,
                store,
                state=ModelState.LIVE,
                may_run_checks=False,
                instead_of_shipped=True,
                second_reader=SecondReader(by=account(), because=f"{MODELS} names it") if number else None,
            )
        worker.start()
        yield store
    finally:
        worker.stop()
        store.close()


def _keep(files_by_study: dict[str, list[Path]], store: Store, findings: Findings, progress: Progress) -> None:
    """Take the files in, study after study: a study is complete when the next one begins (pipeline.assemble)."""
    intake, association_id = StoreIntake(store, node="analyze"), str(uuid.uuid4())
    task = progress.add_task("Taking files in", total=sum(map(len, files_by_study.values())))
    intake.association_opened(association_id, AE_TITLE, "")
    for study_instance_uid, paths in files_by_study.items():
        for path in paths:
            if _keep_one(path, intake, association_id, findings):
                findings.studies[study_instance_uid] = store.study_id_of(study_instance_uid)
            progress.advance(task)
    intake.association_closed(association_id)


def _keep_one(path: Path, intake: StoreIntake, association_id: str, findings: Findings) -> bool:
    try:
        kept = intake.keep(receive_file(path, association_id=association_id, calling_ae_title=AE_TITLE))
    except InvalidStudy as error:
        findings.reject(path, str(error))
        return False
    except OSError as error:
        findings.reject(path, f"it cannot be read: {error.strerror}")
        return False
    if kept == Kept.OTHER_PATIENT:
        findings.reject(path, "it names another patient than the images of its study that were read before")
    if kept == Kept.CONFLICT:
        findings.reject(path, "another file has the same SOPInstanceUID and other contents; the first one was used")
    return True


def _wait(store: Store, total: int, progress: Progress) -> None:
    """Until every study has its outcome and every object is written; Unavailable when writing does not succeed."""
    task = progress.add_task("Reading studies", total=total)
    before, moved_at = -1, time.monotonic()
    while True:
        counts = store.studies.counts()
        under_way = sum(counts[state] for state in _UNDER_WAY)
        outbox = store.outbox.states([DESTINATION])[0]
        progress.update(task, completed=total - under_way)
        if outbox.failures:
            raise Unavailable(outbox.last_error)
        if under_way == outbox.pending == 0:
            return
        if before != under_way + outbox.pending:
            before, moved_at = under_way + outbox.pending, time.monotonic()
        if time.monotonic() - moved_at > _STALLED_SECONDS:
            raise Unavailable(
                f"no study was read for {_STALLED_SECONDS:.0f} seconds; {LOG} in the --out folder says why"
            )
        time.sleep(_LOOK_SECONDS)


def _entry(store: Store, study_instance_uid: str, study_id: str, staging: Path, out: Path) -> StudyEntry:
    """The study's entry of results.json; its objects move to their final names."""
    overview = Overview(store.engine)
    times = overview.times_of(study_id)
    report = store.reports.current(study_id)
    entry = StudyEntry.model_validate(report.document) if report else _without_report(study_instance_uid, times)
    sent = overview.sent_objects(study_id, DESTINATION)
    objects = tuple(
        ObjectEntry(sop_class=item.sop_class_uid, path=_place(item, place, staging / study_id, out))
        for item, place in zip(sent, _places(sent, study_instance_uid), strict=True)
    )
    timings = {hop: round(seconds, 3) for hop, seconds in times.hops().items()} if times else {}
    return entry.model_copy(update={"objects": objects, "timings_seconds": timings})


def _without_report(study_instance_uid: str, times: StudyTimes | None) -> StudyEntry:
    """A study that failed, or that held no image at all."""
    return StudyEntry(
        study_instance_uid=study_instance_uid,
        status=times.state.value if times else StudyState.FAILED.value,
        reason=times.reason if times else "",
    )


def _places(sent: Sequence[SentObject], study_instance_uid: str) -> Iterator[Path]:
    """`<study>/<kind>[-<finding>[-<number>]].dcm`: a finding in a second image has the number 2."""
    counts: Counter[str] = Counter()
    for item in sent:
        name = f"{item.kind}-{item.finding_name}" if item.finding_name else str(item.kind)
        counts[name] += 1
        number = f"-{counts[name]}" if counts[name] > 1 else ""
        yield Path(study_instance_uid) / f"{name}{number}.dcm"


def _place(item: SentObject, target: Path, delivered: Path, out: Path) -> str:
    """Move a delivered object to its place in `out`; returns that, relative to results.json."""
    make_private_folder(out / target.parent)
    shutil.move(delivered / f"{item.kind}-{item.delivery_id}.dcm", out / target)
    return str(target)


def _write(out: Path, entries: list[StudyEntry], findings: Findings) -> None:
    document = {
        "studies": [
            entry.model_dump(mode="json") | {"files": list(map(str, findings.files.get(entry.study_instance_uid, [])))}
            for entry in entries
        ],
        "rejected_files": findings.rejected,
        "not_dicom_files": [str(path) for path in findings.not_dicom],
    }
    write_durably(out / RESULTS, (json.dumps(document, indent=2) + "\n").encode())


def _tell(findings: Findings, console: Console) -> None:
    """What was left out, on stderr, by file name."""
    if findings.not_dicom:
        words = "file is" if len(findings.not_dicom) == 1 else "files are"
        console.print(f"{len(findings.not_dicom)} {words} no DICOM, PNG or JPEG:", markup=False)
    for path in findings.not_dicom:
        console.print(f"  {on_a_terminal(str(path))}", markup=False, soft_wrap=True)
    for rejected in findings.rejected:
        words = on_a_terminal(f"left out {rejected['path']}: {rejected['reason']}")
        console.print(words, markup=False, soft_wrap=True)


def _nothing(findings: Findings) -> str:
    left_out = f"{len(findings.not_dicom)} are not DICOM, PNG or JPEG, {len(findings.rejected)} are not valid"
    return f"none of the files can be analysed ({left_out}); give DICOM, PNG or JPEG files or folders of them"


def _summarise(entries: list[StudyEntry], out: Path) -> None:
    statuses = [entry.status.replace("_", " ") for entry in entries]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    positive = sum(any(finding.positive for finding in entry.findings) for entry in entries)
    studies = f"{len(entries)} {'study' if len(entries) == 1 else 'studies'}"
    print(f"{studies}: {counts}; {positive} with a finding. {on_a_terminal(str(out / RESULTS))}")  # noqa: T201


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
