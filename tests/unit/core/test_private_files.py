"""What Candor makes is for its own account only, whatever the umask; and a folder it cannot write says whose it is."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.files import make_private_folder
from core.store.store import open_store
from pipeline.data_folder import make_data_folder

ROOT = Path(__file__).parents[3]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs another account")
WITHOUT_POWER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
DAEMON = 1


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def too_open(folder):
    """What others may do something with, below a folder and the folder itself."""
    return [path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def candor(*arguments, cwd, through=(), **more):
    return subprocess.run(
        [*through, sys.executable, "-m", "api", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


@pytest.mark.parametrize("mask", [0, 0o002, 0o022])
def test_a_data_folder_is_private_whatever_the_umask(tmp_path, mask):
    with umask(mask):
        open_store(make_data_folder(tmp_path / "site" / "data")).close()
    assert too_open(tmp_path / "site") == []


def test_a_command_writes_privately_whatever_the_umask(tmp_path):
    done = candor("init", "--data", "site/data", cwd=tmp_path, umask=0)
    assert done.returncode == 0, done.stderr
    assert too_open(tmp_path / "site") == []


def test_the_folder_of_results_is_private_whatever_the_umask(tmp_path):
    (tmp_path / "text.dcm").write_text("no image")
    candor("analyze", "text.dcm", "--out", "some/out", cwd=tmp_path, umask=0)
    assert list((tmp_path / "some" / "out").glob("*log*"))
    assert too_open(tmp_path / "some") == []


def test_a_folder_that_was_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "one" / "two")
    make_private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert too_open(tmp_path / "one") == []


@AS_ROOT
@pytest.mark.parametrize("command", [["status"], ["serve"], ["retry"], ["config", "check"]])
def test_a_data_folder_of_another_account_names_that_account(tmp_path, command):
    settings = make_data_folder(tmp_path / "data")
    os.chown(settings.data_dir, DAEMON, DAEMON)
    done = candor(*command, "--data", str(tmp_path / "data"), cwd=tmp_path, through=WITHOUT_POWER)
    assert done.returncode == 2
    assert "belongs to daemon; run as that account: sudo -u daemon candor ..." in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@AS_ROOT
@pytest.mark.parametrize("name", ["candor.db", "objects"])
def test_what_another_account_made_in_the_folder_names_that_account(tmp_path, name):
    """What `sudo candor ...` leaves behind, here the other way round."""
    settings = make_data_folder(tmp_path / "data")
    os.chown(settings.data_dir / name, DAEMON, DAEMON)
    done = candor("status", "--data", str(settings.data_dir), cwd=tmp_path, through=WITHOUT_POWER)
    assert done.returncode == 2
    assert f"{name} cannot be written (permission denied): it belongs to daemon" in done.stderr


@AS_ROOT
@pytest.mark.parametrize("command", [["status"], ["serve"]])
def test_a_read_only_data_folder_is_said_and_ends_the_command(tmp_path, command):
    make_data_folder(tmp_path / "data")
    script = (
        f"mount --bind {tmp_path}/data {tmp_path}/data && mount -o remount,ro,bind {tmp_path}/data && "
        f"exec {sys.executable} -m api {' '.join(command)} --data {tmp_path}/data"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("this machine lets no test mount anything")
    assert done.returncode == 2, done.stderr
    assert f"{tmp_path}/data cannot be written (read-only file system)" in done.stderr
    assert "again" not in done.stderr


def test_a_folder_without_write_permission_is_said_by_name(tmp_path):
    settings = make_data_folder(tmp_path / "data")
    settings.data_dir.chmod(0o500)
    is_root = os.geteuid() == 0
    done = candor("status", "--data", "data", cwd=tmp_path, through=WITHOUT_POWER if is_root else ())
    settings.data_dir.chmod(0o700)
    assert done.returncode == 2
    assert "data cannot be written (permission denied)" in done.stderr
