"""Child processes of a worker."""

import json
import logging
from pathlib import Path

import structlog

from core.log import configure_logging
from pipeline.reading.children import Child


class Speaker:
    """Logs what it is asked to."""

    def say(self, reason):
        structlog.get_logger().warning("speaker.said", reason=reason)
        structlog.get_logger().info("speaker.whispered", reason=reason)


def test_what_a_child_logs_is_kept_with_the_log_of_its_process(tmp_path, monkeypatch):
    """`candor logs` reads every file of the folder; the level is that of the process."""
    monkeypatch.syspath_prepend(Path(__file__).parents[4])  # the child has the path of its parent
    before = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure_logging(json=True, level="warning", file=tmp_path / "logs" / "worker.log")
        child = Child(Speaker)
        child.call(Speaker.say, "a codec is missing")
        child.close()
    finally:
        logging.getLogger().handlers, logging.getLogger().level = before
    kept = [json.loads(line) for line in (tmp_path / "logs" / "worker-speaker.log").read_text().splitlines()]
    assert [(line["event"], line["reason"]) for line in kept] == [("speaker.said", "a codec is missing")]
