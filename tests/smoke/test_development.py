"""What docs/development.md tells people to copy works when it is copied, with the commands below it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "development.md").read_text()
EDIT = re.compile(r"In `([^`]+)`,\s(above|below) `([^`]+)`:\n```text\n(.*?)```", re.DOTALL)
FILE = re.compile(r"`([\w./]+\.(?:py|yaml))`:\n```(?:python|yaml)\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)
BOXES = [f"{end}_{side}" for end in ("subject", "object") for side in ("x1", "y1", "x2", "y2")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the project with all that the page adds."""
    folder = tmp_path_factory.mktemp("checkout")
    unwanted = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("sgg", "launchers", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, where, line, added in EDIT.findall(PAGE):
        path = folder / name
        text = path.read_text()
        assert text.count(f"\n{line}\n") == 1, (name, line)
        new = f"{added}\n\n{line}\n" if where == "above" else f"{line}\n{added}"
        path.write_text(text.replace(f"{line}\n", new))
    for name, content in FILE.findall(PAGE):
        path = folder / name
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "bin").mkdir()
    for name, words in (("sgg", "-m sgg "), ("python", "")):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {words}"$@"\n')
        program.chmod(0o755)
    return folder


def run(checkout, command):
    """What a command of the page prints; it must go well."""
    assert command in [line for block in COMMANDS.findall(PAGE) for line in block.splitlines()]
    for word, value in (
        ("DIR", "own"),
        ("RUN_DIR", "run"),
        ("COMPLETIONS.jsonl", "completions.jsonl"),
    ):
        command = re.sub(rf"(?<=[= ]){re.escape(word)}(?=\s|$)", value, command)
    environment = {
        **os.environ,
        "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "XDG_CACHE_HOME": str(checkout / "cache"),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def test_the_page_adds_something_of_each_kind():
    assert len(EDIT.findall(PAGE)) == 6
    assert len(FILE.findall(PAGE)) == 6
    assert PAGE.count("```") == 2 * (12 + len(COMMANDS.findall(PAGE)))


def test_a_model_family(checkout):
    told = run(checkout, "python -m pytest tests/unit/models/test_families.py")
    assert "passed" in told
    done = subprocess.run(
        [sys.executable, "-c", "from sgg.config.model import Family; print(*Family.__members__)"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "qwen3_vl_moe" in done.stdout


def test_a_data_source(checkout):
    folder = checkout / "own"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30)).save(folder / name)
    rows = [
        ("a.jpg", "man", "on", "horse", 1, 2, 20, 25, 3, 9, 35, 28),
        ("a.jpg", "man", "near", "dog", 1, 2, 20, 25, 30, 20, 39, 29),
        ("b.jpg", "dog", "on", "grass", 5, 5, 9, 9, 0, 5, 40, 30),
        ("c.jpg", "dog", "on", "grass", 5, 5, 9, 9, 0, 5, 40, 30),
        ("b.jpg", "dog", "on", "sofa", "x", 5, 9, 9, 0, 5, 40, 30),
    ]
    for name, kept in (("train.csv", rows[:3]), ("eval.csv", rows[:4])):
        with (folder / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "subject", "predicate", "object", *BOXES])
            writer.writerows(kept)
    told = run(checkout, "sgg prepare data=triples data.root=DIR")
    assert "no_image" in told  # of c.jpg
    assert run(checkout, "python -m pytest tests/unit/data/sources/test_table.py")


def test_a_reward_term(checkout):
    commands = [line for line in PAGE.splitlines() if line.startswith("PYTHONPATH=. sgg")]
    run(checkout, commands[0])
    completion = {"objects": [{"id": "red circle.1", "bbox": [1, 1, 50, 50]}], "relationships": []}
    row = {"image_id": "shapes-2-0", "text": json.dumps(completion)}
    (checkout / "completions.jsonl").write_text(json.dumps(row) + "\n")
    assert "few_objects" in run(checkout, commands[1])


def test_a_cluster_profile(checkout):
    (command,) = (line for line in PAGE.splitlines() if "hardware=mycluster hydra" in line)
    told = run(checkout, command)
    assert "--partition=normal" in told
    assert "--account=a-123" in told


def test_a_protocol(checkout):
    commands = [
        line for line in PAGE.splitlines() if line.startswith("SGG_CONF") and "loose" in line
    ]
    assert "eval" in run(checkout, commands[0])
    made = subprocess.run(
        [sys.executable, "-m", "sgg", "stage=eval", "data.eval.limit=2", "paths.run_dir=run"],
        cwd=checkout,
        env={**os.environ, "XDG_CACHE_HOME": str(checkout / "cache")},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    assert "loose-iou30" in run(checkout, commands[1])
