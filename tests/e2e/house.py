"""A whole Candor on loopback for the tests that go through the door: real processes, real sockets, real PACS."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.domain.registration import ModelState, Registration, SecondReader
from core.settings import Settings, load_settings
from core.store.store import Store, open_store
from dicom_node.archive import Archive
from models.package.contents import SIGNATURE
from models.package.signatures import new_key, sign_package
from pipeline.data_folder import make_data_folder
from pipeline.registration.registration import register
from tests.known_model import make_known_model
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true value of `condition`; fails after `seconds`, saying what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


def is_listening(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children_of(pid: int) -> dict[int, str]:
    """Every living descendant of a process, with its command line."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            parents[int(entry.name)] = int(fields[1])
        except (OSError, ValueError, IndexError):
            continue  # not a process, or one that just ended
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return {child: commands[child] for child in family - {pid}}


@dataclass
class House:
    """One data folder and the processes that run on it."""

    folder: Path
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    lines: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    packages: tuple[Path, ...] = ()
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _maker(self) -> Path:
        return self.folder / "house.key"

    @property
    def settings(self) -> Settings:
        return load_settings(self.data)

    def make(self) -> None:
        """What `candor init` makes, then our settings and our models, by a maker whom this house trusts."""
        make_data_folder(self.data)
        maker = new_key(self._maker)
        text = "\n".join(
            (
                f"port = {self.port}",
                f"web_port = {self.web_port}",
                "minimum_free_bytes = 0",
                f'trusted_model_keys = ["{maker}"]',
                *self.lines,
                *self.destinations,
            )
        )
        (self.data / "candor.toml").write_text(text + "\n")
        for number, package in enumerate(self.packages):
            self.register(package, state=None if number else ModelState.LIVE, instead_of_shipped=not number)

    def trust(self, key: str) -> None:
        """Trust another maker too."""
        settings = self.data / "candor.toml"
        settings.write_text(settings.read_text().replace("trusted_model_keys = [", f'trusted_model_keys = ["{key}", '))

    def register(
        self,
        package: Path,
        *,
        state: ModelState | None = None,
        second_reader: SecondReader | None = None,
        instead_of_shipped: bool = False,
    ) -> Registration:
        """Take a model package into the registry of this house, as `candor models register` does.

        An unsigned one is signed by the maker of this house, so that what it says of its maps is believed.
        """
        with self.store() as store, TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(package, Path(folder) / package.name))
            if not (copy / SIGNATURE).exists():
                sign_package(copy, self._maker)
            return register(
                copy,
                self.settings,
                store,
                state=state,
                second_reader=second_reader,
                instead_of_shipped=instead_of_shipped,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `candor` command on this data folder; it must succeed."""
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=environment(), capture_output=True, text=True, check=True
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "api", *arguments, "--data", str(self.data)]

    def start(self, name: str) -> None:
        """Start `candor NAME` (node, worker, web or serve); its log goes to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.command(name), cwd=self.folder, env=environment(), stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self, *, seconds: float = 60.0) -> None:
        """Until the DICOM port answers."""
        wait_until(lambda: is_listening(self.port), seconds=seconds, what="the DICOM node")

    def kill(self, name: str) -> None:
        """kill -9, as a power cut would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def kill_tree(self) -> None:
        """kill -9 everything that was started, children included."""
        for name in list(self.processes):
            process = self.processes.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """Ask politely, then insist."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, opened from this process."""
        store = open_store(self.settings)
        try:
            yield store
        finally:
            store.close()

    def log(self) -> str:
        """Everything every process wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


@contextmanager
def running_archive(folder: Path) -> Iterator[Archive]:
    """A stand-in PACS, running, that files below `folder`."""
    archive = Archive(folder / "archive", ae_title="PACS", port=free_port())
    archive.start()
    try:
        yield archive
    finally:
        archive.stop()


@contextmanager
def known_house(folder: Path, archive: Archive) -> Iterator[House]:
    """A data folder with the known model and the archive as destination; nothing runs yet."""
    folder = folder / "house"
    folder.mkdir()
    package = make_known_model(folder / "packages")
    lines = (
        "quiet_seconds = 0.5",
        "delivery_backoff_seconds = 0.2",
        "delivery_maximum_backoff_seconds = 1.0",
    )
    house = House(folder, lines=lines, destinations=(destination("ARCHIVE", archive.port),), packages=(package,))
    house.make()
    try:
        yield house
    finally:
        house.kill_tree()


def destination(name: str, port: int, *, ae_title: str = "PACS", more: tuple[str, ...] = ()) -> str:
    """A destination as candor.toml says it."""
    lines = (f'name = "{name}"', f'ae_title = "{ae_title}"', 'host = "127.0.0.1"', f"port = {port}", *more)
    return "\n[[destinations]]\n" + "\n".join(lines)


def environment() -> dict[str, str]:
    """Our own environment without anybody's Candor settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CANDOR_")}
    return {**clean, "PYTHONPATH": str(ROOT)}
