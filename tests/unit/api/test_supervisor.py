"""The supervisor with small children of our own: it restarts, gives up on wrong settings, forwards the stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from api.processes.supervisor import CONFIGURATION_EXIT_CODE, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
SUPERVISE = """
import sys
from api.processes.supervisor import Supervisor
sys.exit(Supervisor({{"node": [sys.executable, "-c", {child!r}]}}).run())
"""


def pids(supervisor):
    return {child.name: child.process.pid for child in supervisor.children if child.is_running}


def python(source):
    return [sys.executable, "-c", source]


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def look_until(supervisor, condition):
    def looked():
        assert supervisor.look()
        return condition()

    wait_for(looked)


def test_a_child_that_is_killed_comes_back():
    supervisor = Supervisor({"node": SLEEP, "worker": SLEEP})
    try:
        supervisor.look()
        first = pids(supervisor)
        os.kill(first["node"], signal.SIGKILL)
        look_until(supervisor, lambda: pids(supervisor).get("node", first["node"]) != first["node"])
        assert pids(supervisor)["worker"] == first["worker"]
    finally:
        supervisor.stop()
    assert pids(supervisor) == {}


def test_pauses_grow_while_a_child_keeps_dying(tmp_path):
    starts = tmp_path / "starts"
    source = f"import time; open({str(starts)!r}, 'a').write(f'{{time.time()}} ')"
    supervisor = Supervisor({"node": python(source)})
    try:
        look_until(supervisor, lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    finally:
        supervisor.stop()
    at = [float(word) for word in starts.read_text().split()]
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8


def test_a_wrong_setting_at_the_first_start_ends_everything():
    supervisor = Supervisor({"worker": SLEEP, "node": python(f"raise SystemExit({CONFIGURATION_EXIT_CODE})")})
    assert supervisor.run() == CONFIGURATION_EXIT_CODE
    assert pids(supervisor) == {}


def test_the_same_exit_code_later_is_tried_again(tmp_path):
    mark = tmp_path / "mark"
    source = (
        f"import os, time; first = not os.path.exists({str(mark)!r}); open({str(mark)!r}, 'a').write('x');"
        f"raise SystemExit(1 if first else {CONFIGURATION_EXIT_CODE})"
    )
    supervisor = Supervisor({"node": python(source)})
    try:
        look_until(supervisor, lambda: mark.exists() and len(mark.read_text()) >= 3)
    finally:
        supervisor.stop()


def test_a_child_that_ignores_the_stop_is_killed(monkeypatch):
    monkeypatch.setattr("api.processes.supervisor.PATIENCE_SECONDS", 0.5)
    stubborn = python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)")
    supervisor = Supervisor({"node": stubborn})
    supervisor.look()
    time.sleep(1.0)
    pid = pids(supervisor)["node"]
    supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_its_children_too(tmp_path, number):
    child = f"""
import os, time
open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
    process = subprocess.Popen(python(SUPERVISE.format(child=child)))
    pid = child_pid(tmp_path / "pid")
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_children_end_with_a_supervisor_that_is_killed(tmp_path):
    child = f"""
import os, time
from api.processes.heartbeat import end_with
end_with(os.getppid())
open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
    process = subprocess.Popen(python(SUPERVISE.format(child=child)))
    pid = child_pid(tmp_path / "pid")
    process.kill()
    process.wait()
    wait_for(lambda: not is_running(pid), seconds=5)


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    source = "import time; from api.processes.heartbeat import end_with; end_with(1); time.sleep(60)"
    assert subprocess.run(python(source), timeout=30, check=False).returncode == -signal.SIGKILL


def child_pid(path):
    wait_for(lambda: path.exists() and path.read_text().isdigit())
    return int(path.read_text())


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat").read_text()  # a zombie has ended; its parent is another process
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_supervising_needs_no_thread_of_its_own():
    supervisor = Supervisor({"node": SLEEP})
    before = threading.active_count()
    supervisor.look()
    assert threading.active_count() == before
    supervisor.stop()
