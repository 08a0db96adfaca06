"""One owner of a folder at a time: by processes of this machine, and lease files of others."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from sgg.errors import SggError
from sgg.runs import lease
from sgg.runs.folder import new_folder
from sgg.runs.lease import OWNERS, Lease, holder, newest, wait_for_owner
from sgg.runs.owner import Owner

HOLD = """
import sys, time
from pathlib import Path
from sgg.runs.lease import Lease
with Lease(Path(sys.argv[1]), beat_s=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""


def held_by_process(folder, beat_s=10.0):
    """A living process that owns the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(beat_s)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def write_lease(folder, owner, number=1):
    """What a start elsewhere has left."""
    path = folder / OWNERS / f"{number:06}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"state": "held", **asdict(owner)}))
    return path


def files(folder):
    return sorted(path.name for path in (folder / OWNERS).iterdir())


def elsewhere(**more):
    return Owner(host="elsewhere", job="77", **more)


def test_free_held_and_free_again(tmp_path):
    assert holder(tmp_path) is None
    with Lease(tmp_path):
        assert holder(tmp_path) == newest(tmp_path).owner
        assert holder(tmp_path).process.startswith(f"{os.getpid()}@")
    assert holder(tmp_path) is None
    with pytest.raises(RuntimeError, match="of the block"), Lease(tmp_path):
        raise RuntimeError("of the block")
    assert holder(tmp_path) is None
    assert files(tmp_path) == ["000001.json", "000002.json"]


def test_a_link_to_elsewhere_is_refused_and_one_within_the_folder_is_none_of_our_business(tmp_path):
    folder = tmp_path / "sweep"
    (folder / "points" / "003").mkdir(parents=True)
    (folder / "best").symlink_to("points/003")
    with Lease(folder):
        pass
    (folder / "logs").symlink_to("points/../../elsewhere")
    with pytest.raises(OSError, match=r"link to points/\.\./\.\./elsewhere"), Lease(folder):
        pass


def test_a_living_owner_is_named_with_the_way_out(tmp_path):
    owner = held_by_process(tmp_path)
    with pytest.raises(SggError) as error, Lease(tmp_path):
        pass
    assert f"{tmp_path} is in use by process {owner.pid} on " in str(error.value)
    assert f"kill {owner.pid}" in str(error.value)
    assert "paths.run_dir=DIR" in str(error.value)
    owner.kill()
    owner.communicate()


def test_a_living_owner_keeps_the_folder_when_the_clock_is_set(tmp_path, monkeypatch):
    owner = held_by_process(tmp_path)
    boot_time = psutil.boot_time() + 5
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time)
    with pytest.raises(SggError, match=f"in use by process {owner.pid} on "), Lease(tmp_path):
        pass
    owner.kill()
    owner.communicate()


def test_what_was_killed_is_taken_over_at_once(tmp_path, caplog):
    owner = held_by_process(tmp_path)
    owner.kill()
    owner.communicate()
    started = time.monotonic()
    with Lease(tmp_path):
        assert time.monotonic() - started < 5
        assert holder(tmp_path).took_over in caplog.text
    assert f"taken over from process {owner.pid} on " in caplog.text
    assert "that process has ended" in caplog.text


def test_another_hosts_owner_that_shows_no_sign_is_waited_for_and_taken_over(tmp_path, caplog):
    write_lease(tmp_path, elsewhere())
    started = time.monotonic()
    with Lease(tmp_path, patience_s=2):
        assert 2 <= time.monotonic() - started < 10
    told = [record.message for record in caplog.records]
    assert "on elsewhere, Slurm job 77, since " in told[0]
    assert "looking for up to 2 s whether it renews its lease" in told[0]
    assert "it has not renewed its lease for 2 s" in told[1]


def test_another_hosts_owner_that_lives_is_seen_by_its_heartbeat(tmp_path):
    """Its clock is an hour ahead: only that the time changes counts."""
    path = write_lease(tmp_path, elsewhere())

    def beat():
        ahead = time.time() + 3600
        os.utime(path, (ahead, ahead))

    timer = threading.Timer(2.5, beat)
    timer.start()
    with pytest.raises(SggError, match=r"in use by process .* on elsewhere.*\n?.*scancel 77"):
        Lease(tmp_path, patience_s=30).__enter__()
    timer.join()
    assert files(tmp_path) == ["000001.json"]


def test_the_time_in_which_the_file_system_stood_still_counts_against_no_owner(
    tmp_path, monkeypatch, caplog
):
    """The heartbeat that it has held up comes after the first look that goes through again."""
    monkeypatch.setattr(lease, "_STALL_S", 1.5)
    path = write_lease(tmp_path, elsewhere())
    stalls = iter([2.5])

    def pause(seconds):
        time.sleep(next(stalls, seconds))

    timer = threading.Timer(3.2, lambda: os.utime(path, (1, 1)))
    timer.start()
    with pytest.raises(SggError, match="in use by process"):
        Lease(tmp_path, pause=pause, patience_s=2).__enter__()
    timer.join()
    assert f"{tmp_path} did not answer for a while" in caplog.text


def test_the_owner_renews_its_lease(tmp_path):
    with Lease(tmp_path, beat_s=0.5):
        first = newest(tmp_path).beat
        time.sleep(2.5)
        assert newest(tmp_path).beat > first


def test_an_owner_elsewhere_that_ends_while_it_is_waited_for(tmp_path):
    path = write_lease(tmp_path, elsewhere())
    timer = threading.Timer(1.5, lambda: path.write_text(path.read_text().replace("held", "free")))
    timer.start()
    with Lease(tmp_path, patience_s=60):
        assert holder(tmp_path).took_over == ""


@pytest.mark.parametrize("restart", [0, 1])
def test_a_job_that_slurm_starts_again_takes_its_own_lease_over(tmp_path, monkeypatch, restart):
    """At once, even while the former start is still there; another process of one start may not."""
    write_lease(tmp_path, replace(Owner(), job="77", restart=0))
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))
    if restart:
        with Lease(tmp_path):
            assert "Slurm has started that job again" in holder(tmp_path).took_over
    else:
        with pytest.raises(SggError, match="in use"):
            Lease(tmp_path).__enter__()


@pytest.mark.parametrize(
    "other", [{"host": "elsewhere"}, {"machine": "another boot pid:[1]"}, {"user": 4711}]
)
def test_a_process_number_counts_only_where_it_means_the_same(tmp_path, other):
    """A container of the same host name, or a user whose processes cannot be seen."""
    gone = replace(Owner(), process="1@0")
    assert gone.shares_processes_with(Owner())
    write_lease(tmp_path, replace(gone, **other))
    started = time.monotonic()
    with Lease(tmp_path, patience_s=1.5):
        assert time.monotonic() - started >= 1.5


@pytest.mark.parametrize("text", ["", "[]"])
def test_a_lease_that_cannot_be_read_is_no_free_folder(tmp_path, text):
    path = write_lease(tmp_path, Owner())
    path.write_text(text)
    with Lease(tmp_path, patience_s=1.5):
        assert (
            f"a process that cannot be told from {OWNERS}/000001.json" in holder(tmp_path).took_over
        )


def fork(start, code_of):
    """A fork of this process that waits until the other end of the pipe is closed; its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(start[1])
            os.read(start[0], 1)
            code = code_of()
        finally:
            os._exit(code)
    return child


def exit_code(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("left", "rounds"), [("nothing", 20), ("by a dead process", 20), ("by a silent host", 3)]
)
def test_of_many_takers_exactly_one_wins(tmp_path, left, rounds):
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        if left != "nothing":
            dead = replace(Owner(), process="1@0")
            write_lease(folder, dead if left == "by a dead process" else elsewhere())
        start, done = os.pipe(), os.pipe()

        def take(folder=folder, done=done):
            os.close(done[1])
            try:
                with Lease(folder, patience_s=1):
                    os.read(done[0], 1)  # it stays the owner until all others have ended
            except SggError:
                return 2
            return 0

        takers = [fork(start, take) for _ in range(12)]
        os.close(start[1])
        ended = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in takers[1:]]
        assert ended == [2] * 11
        os.close(done[1])
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert len(files(folder)) == 1 + (left != "nothing")
        os.close(start[0])
        os.close(done[0])


def test_an_owner_whose_lease_is_taken_ends_and_writes_nothing_more(tmp_path):
    """Its process stood still meanwhile, as in a machine that was suspended. It looks each second."""
    owner = held_by_process(tmp_path)
    os.kill(owner.pid, signal.SIGSTOP)
    path = write_lease(tmp_path, elsewhere(), number=2)
    os.kill(owner.pid, signal.SIGCONT)
    _, stderr = owner.communicate(timeout=8)  # a heartbeat is due after 10 s
    assert owner.returncode == 1
    assert f"sgg: {tmp_path}: it belongs to process" in stderr
    assert "on elsewhere, Slurm job 77" in stderr
    assert f"sgg status {tmp_path}" in stderr
    assert '"held"' in path.read_text()


def test_an_owner_whose_lease_was_removed_ends(tmp_path):
    owner = held_by_process(tmp_path, beat_s=1)
    (tmp_path / OWNERS / "000001.json").unlink()
    _, stderr = owner.communicate(timeout=20)
    assert owner.returncode == 1
    assert "its lease was removed" in stderr


def test_a_fork_of_the_owner_does_not_release(tmp_path):
    own = Lease(tmp_path).__enter__()
    start = os.pipe()
    child = fork(start, lambda: own.release() or 0)
    os.close(start[1])
    assert exit_code(child) == 0
    os.close(start[0])
    assert holder(tmp_path) is not None
    own.release()
    assert holder(tmp_path) is None


def test_a_node_waits_for_the_owner_of_its_own_start(tmp_path):
    write_lease(tmp_path, Owner(attempt="7-0"))
    timer = threading.Timer(1.5, lambda: write_lease(tmp_path, Owner(attempt="7-1"), number=2))
    started = time.monotonic()
    timer.start()
    wait_for_owner(tmp_path, "7-1")
    assert time.monotonic() - started >= 1.5
    with pytest.raises(SggError, match="node 0 of this start has not got the folder within 1 s"):
        wait_for_owner(tmp_path, "8-0", limit_s=1)

    def interrupted(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for_owner(tmp_path, "8-0", interrupted)


def test_starts_of_one_second_get_folders_of_their_own(tmp_path):
    start = os.pipe()
    children = [fork(start, lambda: new_folder(tmp_path / "runs" / "sft") and 0) for _ in range(12)]
    os.close(start[1])
    assert [exit_code(child) for child in children] == [0] * 12
    os.close(start[0])
    assert len(list((tmp_path / "runs").iterdir())) == 12
