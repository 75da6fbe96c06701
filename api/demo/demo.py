"""`candor demo`: the main job on this machine, with nothing made up but the patients.

A real node and a real worker run as child processes on free loopback ports, a stand-in PACS in this one. The demo
studies go in by C-STORE and the reports come back by C-STORE; then what came back is compared with what was promised.
Everything to look at is under ./demo-output.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from api.demo.outcome import Outcome, outcomes_of, problems_of
from api.demo.printing import Waiting, print_outcomes
from api.processes.heartbeat import living
from api.processes.supervisor import Supervisor, commands_of
from core.domain.registration import ModelState
from core.domain.report import ObjectKind
from core.errors import CandorError, ConfigurationError, Unavailable
from core.log import configure_logging
from core.settings import Settings
from core.settings.environment import only_these_variables
from core.store.store import Store, open_store
from core.store.studies.overview import Overview
from datasets.demo.studies import DemoStudy, demo_studies
from dicom_node.archive import Archive
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header, to_instance
from dicom_node.network.peers import Destination
from dicom_node.send import echo, open_association
from pipeline.data_folder import make_data_folder
from pipeline.registration.registration import register

OUTPUT = Path("demo-output")
LOG = "log.jsonl"
PACS = "PACS"
PATIENCE_SECONDS = 180.0
_FREE_BYTES = 256 * 1024**2
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What runs during a demo."""

    settings: Settings
    store: Store
    archive: Archive
    supervisor: Supervisor
    output: Path

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until `condition`, keeping the processes running; says where to look when it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if not self.supervisor.look():
                raise ConfigurationError(f"the demo's processes do not start; {self.output / LOG} says why")
            if time.monotonic() > deadline:
                raise Unavailable(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}; see {self.output / LOG}")
            time.sleep(_LOOK_SECONDS)


def run_demo(
    *,
    keep: bool,
    output: Path = OUTPUT,
    studies: Sequence[DemoStudy] | None = None,
    packages: Sequence[Path] = (),
) -> int:
    """Run the demo; returns 0 only if what came back is what was promised.

    `keep`: the data folder stays too. `studies`: others than the shipped ones; `packages`: models besides the shipped.
    """
    started = time.monotonic()
    console = Console(highlight=False)
    studies = demo_studies() if studies is None else studies
    _clear(output)
    with only_these_variables(), ExitStack() as exit_stack:
        stage = _set_stage(output, keep, packages, exit_stack)
        with console.status("Starting node, worker and a stand-in PACS on loopback"):
            stage.wait(lambda: _is_up(stage), "node and worker")
        console.print(_who_is_where(stage))
        _send(studies, stage)
        _wait_for_reports(studies, stage, console)
        outcomes = outcomes_of(studies, stage.store, stage.archive, output)
    print_outcomes(outcomes, output, console)
    return _verdict(outcomes, output, keep, console, time.monotonic() - started)


def _clear(output: Path) -> None:
    """Remove what an earlier demo left; nothing else."""
    try:
        for name in ("pacs", "overlays", "data"):
            shutil.rmtree(output / name, ignore_errors=True)
        for name in ("data.key", LOG):
            (output / name).unlink(missing_ok=True)
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written ({error.strerror}); run the demo elsewhere") from error


def _set_stage(output: Path, keep: bool, packages: Sequence[Path], exit_stack: ExitStack) -> _Stage:
    log = exit_stack.enter_context((output / LOG).open("a", encoding="utf-8"))
    configure_logging(json=True, stream=log)  # ours and that of the children, so that nothing disturbs the tables
    parent = output if keep else Path(exit_stack.enter_context(tempfile.TemporaryDirectory(prefix="candor-demo-")))
    port = _free_port()
    # the PACS knows the node, because it answers storage commitment by calling it
    archive = exit_stack.enter_context(Archive(output / "pacs", ae_title=PACS, peers=(_node(port, calling=PACS),)))
    settings = make_data_folder(parent.absolute() / "data", _settings(archive, port))
    store = open_store(settings)
    exit_stack.callback(store.close)
    for folder in packages:
        # as in `candor analyze`: a person chose it
        register(folder, settings, store, state=ModelState.LIVE, may_run_checks=False, instead_of_shipped=True)
    supervisor = Supervisor(commands_of(settings.data_dir, "node", "worker"), stderr=log.fileno())
    exit_stack.callback(supervisor.stop)
    return _Stage(settings=settings, store=store, archive=archive, supervisor=supervisor, output=output)


def _settings(archive: Archive, port: int) -> dict[str, Any]:
    pacs = {
        "name": "pacs",
        "ae_title": PACS,
        "port": archive.port,
        "objects": [kind.value for kind in ObjectKind if kind is not ObjectKind.SC_FINDINGS],
        "storage_commitment": True,
    }
    return {"port": port, "minimum_free_bytes": _FREE_BYTES, "destinations": [pacs]}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_up(stage: _Stage) -> bool:
    """The worker has its models loaded and the node answers a C-ECHO."""
    if not any(name.startswith("worker/") for name in living(stage.store)):
        return False
    with suppress(CandorError):
        return echo(_node(stage.settings.port)) > 0.0
    return False


def _node(port: int, *, calling: str = "MODALITY") -> Destination:
    """The node, as others see it."""
    return Destination(name="node", ae_title="CANDOR", host="127.0.0.1", port=port, calling_ae_title=calling)


def _who_is_where(stage: _Stage) -> str:
    node, pacs = stage.settings, stage.archive
    return f"Node {node.ae_title} at {node.host}:{node.port}, PACS {PACS} at 127.0.0.1:{pacs.port}"


def _send(studies: Sequence[DemoStudy], stage: _Stage) -> None:
    """C-STORE every study over one association; Unavailable when one is not taken."""
    files = [study.path.read_bytes() for study in studies]
    classes = {to_instance(read_header(data)).sop_class_uid for data in files}
    syntaxes = {layout_of(data).transfer_syntax_uid for data in files}
    with open_association(_node(stage.settings.port), classes, more_transfer_syntaxes=syntaxes) as sender:
        for data in files:
            result = sender.send(data)
            if not result.sent:
                raise Unavailable(f"the node did not take a demo study: {result.message}; see {stage.output / LOG}")


def _wait_for_reports(studies: Sequence[DemoStudy], stage: _Stage, console: Console) -> None:
    overview = Overview(stage.store.engine)
    ids = {study.path.stem: stage.store.study_id_of(study.study_instance_uid) for study in studies}
    with Waiting(list(ids), console) as waiting:

        def all_back() -> bool:
            times = {name: overview.times_of(study_id) for name, study_id in ids.items()}
            for name, reached in times.items():
                waiting.show(name, reached)
            return all(reached is not None and reached.is_over for reached in times.values())

        stage.wait(all_back, "the reports")


def _verdict(outcomes: Sequence[Outcome], output: Path, keep: bool, console: Console, seconds: float) -> int:
    problems = problems_of(outcomes)
    for problem in problems:
        console.print(f"[bold red]not as promised[/] {problem}")
    kept = f"; data folder {output / 'data'}, look at it with: candor status --data {output / 'data'}" if keep else ""
    if not problems:
        console.print(f"[bold green]All as promised[/] in {seconds:.1f} s{kept}")
    return 1 if problems else 0
