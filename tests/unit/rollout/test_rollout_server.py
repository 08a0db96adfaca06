"""A rollout server's process: where it may listen, and that nothing outlives it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from sgg.errors import SggError
from sgg.rollout.server import refuse_loopback

STARTS = """
import subprocess, sys, time
from sgg.rollout.server import end_with_this_process
end_with_this_process()
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


def test_what_a_server_started_does_not_outlive_it():
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        child = psutil.Process(int(server.stdout.readline()))
        os.kill(server.pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_host_that_knows_itself_as_loopback_serves_nobody_else():
    with pytest.raises(SggError, match=r"is 127\.0\.0\.1 to itself, so the run's other nodes"):
        refuse_loopback("localhost", nodes=2)
    refuse_loopback("localhost", nodes=1)
