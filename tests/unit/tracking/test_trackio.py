"""What trackio holds of a run, by its own API; needs `pip install 'sgg[trackio]'`."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.tracker import TrackerKind
from sgg.errors import SggError
from sgg.plan.validate import validate
from sgg.tracking.open import open_trackers, tracking
from sgg.tracking.state import failure_note

IS_THERE = importlib.util.find_spec("trackio") is not None
needed = pytest.mark.skipif(not IS_THERE, reason="trackio is not installed")

READ = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage
[run] = trackio.Api().runs("sgg")
print(json.dumps({"name": run.name, "config": run.config, "rows": SQLiteStorage.get_logs("sgg", run.name)}))
"""


def held(run_dir):
    """Name, config and rows of the only run, read in another process."""
    environment = {**os.environ, "TRACKIO_DIR": str(run_dir / "trackio")}
    done = subprocess.run(
        [sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(IS_THERE, reason="trackio is installed")
def test_without_the_package_the_extra_is_named():
    with pytest.raises(SggError, match=r"tracker=trackio needs trackio.*'sgg\[trackio\]'"):
        validate(compose_config(["tracker=trackio"]))


@needed
def test_each_run_of_a_process_has_its_own_folder(tmp_path, capsys):
    config = compose_config(["tracker=trackio", "seed=7"])
    for name in ("sft", "grpo"):
        (tmp_path / name).mkdir()
        with tracking(config, tmp_path / name) as tracker:
            tracker.log({"loss": 1.5, f"reward/{name}/mean": 0.5}, 1)
        assert failure_note(tmp_path / name) is None
    for name in ("sft", "grpo"):
        run = held(tmp_path / name)
        assert run["name"] == name
        assert run["config"]["seed"] == 7
        [row] = run["rows"]
        assert (row["step"], row["loss"], row[f"reward/{name}/mean"]) == (1, 1.5, 0.5)
    assert capsys.readouterr().out == ""


KILLED = """
import os, signal, sys, time
from pathlib import Path
from sgg.config.compose import compose_config
from sgg.tracking.open import open_trackers
trackers = open_trackers(compose_config(["tracker=trackio"]), Path(sys.argv[1]))
for step in (1, 2, 3):
    trackers.log({"loss": float(step)}, step)
time.sleep(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


@needed
def test_a_new_start_replaces_what_a_killed_one_held(tmp_path):
    config = compose_config(["tracker=trackio"])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert [row["step"] for row in held(tmp_path)["rows"]] == [1, 2, 3]
    with tracking(config, tmp_path) as tracker:
        for step in (1, 2, 3, 4):
            tracker.log({"loss": step + 0.5}, step)
    rows = held(tmp_path)["rows"]
    assert [(row["step"], row["loss"]) for row in rows] == [(n, n + 0.5) for n in (1, 2, 3, 4)]


@needed
def test_a_table_keeps_its_pictures_in_the_run_folder(tmp_path):
    with tracking(compose_config(["tracker=trackio"]), tmp_path) as tracker:
        tracker.log({"loss": 1.0}, 1)
        tracker.table("samples/fixed", ["gold", "text"], [[Image.new("RGB", (8, 8), "red"), "a"]])
    [row] = [r for r in held(tmp_path)["rows"] if "samples/fixed" in r]
    [cells] = row["samples/fixed"]["_value"]
    assert (row["step"], cells["text"]) == (1, "a")
    picture = tmp_path / "trackio" / "media" / cells["gold"]["file_path"]
    assert Image.open(picture).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


@needed
def test_nothing_is_sent_whatever_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", "token")
    with tracking(compose_config(["tracker=trackio"]), tmp_path) as tracker:
        tracker.log({"loss": 1.0}, 1)
    assert [row["loss"] for row in held(tmp_path)["rows"]] == [1.0]
    assert os.environ["TRACKIO_SERVER_URL"] == "http://127.0.0.1:9"


@needed
def test_a_link_is_not_followed(tmp_path, caplog):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / "trackio").symlink_to(tmp_path / "mine")
    assert open_trackers(compose_config(["tracker=trackio"]), tmp_path).started == {}
    assert (tmp_path / "mine" / "kept").is_file()
    assert "tracker=trackio could not start" in caplog.text


@needed
def test_it_stands_beside_others(tmp_path):
    with tracking(compose_config(["tracker=[trackio,tensorboard]"]), tmp_path) as tracker:
        assert set(tracker.started) == {TrackerKind.trackio, TrackerKind.tensorboard}
        tracker.log({"loss": 1.0}, 1)
    assert [row["loss"] for row in held(tmp_path)["rows"]] == [1.0]


SHOW = """
import time
import trackio
_, address, *_ = trackio.show(project="sgg", open_browser=False, block_thread=False)
print("\\naddress", address, flush=True)
time.sleep(600)
"""


@needed
@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/bin/chromedriver").is_file(), reason="no chromium-driver")
def test_its_page_shows_the_curves(tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    run_dir = tmp_path / "a run"
    run_dir.mkdir()
    with tracking(compose_config(["tracker=trackio"]), run_dir) as tracker:
        for step in (1, 2, 3):
            tracker.log({"loss": 1 / step, "reward/total/mean": step / 3}, step)
    environment = {**os.environ, "TRACKIO_DIR": str(run_dir / "trackio")}
    page = subprocess.Popen(
        [sys.executable, "-c", SHOW], env=environment, stdout=subprocess.PIPE, text=True
    )
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in ("--headless=new", "--no-sandbox"):
        options.add_argument(option)
    try:
        address = next(line.split()[1] for line in page.stdout if line.startswith("address"))
        browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        try:
            browser.get(f"{address}?project=sgg")
            deadline = time.monotonic() + 60
            said = ""
            while "loss" not in said or "total" not in said:
                assert time.monotonic() < deadline, said
                time.sleep(0.5)
                said = browser.find_element("tag name", "body").text
            assert "a run" in said
        finally:
            browser.quit()
    finally:
        page.kill()
        page.wait()
