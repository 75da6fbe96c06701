"""A stand-in PACS for the demo and the tests: our own storage SCP, filing what it gets into a folder.

It is the same node with another intake, so it speaks C-STORE, C-ECHO and storage commitment for real. It can be
stopped and started again on the same port, as archives are; what it had filed is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from core.clock import Clock, system_clock
from core.domain.study import Instance
from core.files import write_durably
from dicom_node.header.read import read_header, to_instance
from dicom_node.intake import (
    CommitStatus,
    Failure,
    ReceivedObject,
    Reference,
)
from dicom_node.network.peers import Destination
from dicom_node.receive import Node, NodeSettings
from dicom_node.status import CLASS_INSTANCE_CONFLICT, NO_SUCH_INSTANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """One object in the archive; `filed_at` is seconds since the epoch, None for what an earlier run had filed."""

    instance: Instance = field(repr=False)
    path: Path
    filed_at: float | None
    calling_ae_title: str = ""


class FolderIntake:
    """Keeps each object as `<number>.dcm`, in the order of arrival."""

    def __init__(self, folder: Path, *, now: Clock) -> None:
        self._now = now
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self.conflicts = 0
        self.filed: list[Filed] = [
            Filed(instance=to_instance(read_header(path)), path=path, filed_at=None)
            for path in sorted(folder.glob("*.dcm"))
        ]
        self._by_uid = {filed.instance.sop_instance_uid: filed for filed in self.filed}

    def association_opened(self, association_id: str, calling_ae_title: str, address: str) -> None:
        """An archive keeps no count of its senders."""

    def association_closed(self, association_id: str) -> None:
        """As above."""

    def refused(self, association_id: str, calling_ae_title: str, address: str, error: Exception) -> None:
        """As above."""

    def keep(self, received: ReceivedObject) -> str:
        """File the object under the next number; the first object of a UID stays."""
        uid = received.instance.sop_instance_uid
        with self._lock:
            if known := self._by_uid.get(uid):
                if known.path.read_bytes() == received.part10:
                    return "already_kept"
                self.conflicts += 1
                return "conflict"
            path = self._folder / f"{len(self.filed) + 1:06d}.dcm"
            write_durably(path, received.part10)
            filed = Filed(
                instance=received.instance,
                path=path,
                filed_at=self._now(),
                calling_ae_title=received.calling_ae_title,
            )
            self.filed.append(filed)
            self._by_uid[uid] = filed
        return "kept"

    def commit_status(self, references: Sequence[Reference]) -> CommitStatus:
        """What of `references` is in the folder."""
        committed, failed = [], []
        for sop_class, sop_instance in references:
            filed = self._by_uid.get(sop_instance)
            if filed is not None and filed.instance.sop_class_uid == sop_class:
                committed.append((sop_class, sop_instance))
            else:
                failed.append((sop_class, sop_instance, CLASS_INSTANCE_CONFLICT if filed else NO_SUCH_INSTANCE))
        return CommitStatus(committed=tuple(committed), failed=tuple(failed))

    def commitment_answered(
        self, transaction_uid: str, committed: Sequence[Reference], failed: Sequence[Failure]
    ) -> None:
        """An archive asks no other node for storage commitment."""


class Archive:
    """A PACS in a folder; `port` 0 takes a free one on the first start and keeps it."""

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ARCHIVE",
        host: str = "127.0.0.1",
        port: int = 0,
        peers: tuple[Destination, ...] = (),
        now: Clock = system_clock,
    ) -> None:
        self._settings = NodeSettings(ae_title=ae_title, host=host, port=port, peers=peers)
        self._intake = FolderIntake(folder, now=now)
        self._node: Node | None = None

    @property
    def filed(self) -> tuple[Filed, ...]:
        """What has been filed so far, in the order of arrival."""
        return tuple(self._intake.filed)

    @property
    def conflicts(self) -> int:
        """How many objects came under the UID of one that is filed, with other bytes; none of them is filed."""
        return self._intake.conflicts

    @property
    def port(self) -> int:
        """The port it listens on, or last listened on."""
        return self._settings.port or 0

    def destination(self, name: str = "archive", *, calling_ae_title: str = "CANDOR") -> Destination:
        """How to reach it."""
        settings = self._settings
        return Destination(
            name=name,
            ae_title=settings.ae_title,
            host=settings.host,
            port=self.port,
            calling_ae_title=calling_ae_title,
        )

    def start(self) -> None:
        """Listen; a second start after a stop takes the same port again."""
        node = Node(self._settings, self._intake)
        node.start()
        self._settings = replace(self._settings, port=node.port)
        self._node = node

    def stop(self) -> None:
        """Stop listening and cut what is open; files stay."""
        if self._node is not None:
            self._node.stop()
            self._node = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
