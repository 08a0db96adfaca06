"""Whole commands on what a stranger made: nothing of it is imported, run, waited for, or written through."""

import json
import os

import pytest
from commands import sgg, sgg_ok

from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.config.reward import TermConfig

GRAPH = {"objects": [{"id": "man.1", "bbox": [10, 10, 60, 60]}], "relationships": []}
EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def run(tmp_path):
    """A stranger's evaluation, with a reward term whose import would leave the file `mark`."""
    folder = tmp_path / "run"
    folder.mkdir()
    words = ["stage=eval", "model=tiny_qwen2_vl", "reward=hard_recall"]
    config = compose_config([*words, f"paths.run_dir={folder}"])
    config.reward.terms["theirs"] = TermConfig(import_path="strangers_code:term")
    write_frozen(config, folder / "config.yaml")
    code = f"open({str(tmp_path / 'mark')!r}, 'w')\ndef term(case):\n    return 0.0\n"
    (folder / "strangers_code.py").write_text(code)
    row = {"image_id": "1", "index": 0, "text": "", "width": 100, "height": 100, "gold": GRAPH}
    (folder / "completions.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.mark.parametrize(
    "words", [("reward", "completions.jsonl"), ("report", "."), ("status", ".")]
)
def test_code_beside_a_strangers_config_is_not_imported(run, tmp_path, words):
    """Typed in that folder, which `python -m` imports from."""
    sgg_ok(*words, cwd=run)
    assert not (tmp_path / "mark").exists()


def test_that_code_is_imported_once_it_is_accepted(run, tmp_path):
    """So the test above looks for what there is to see."""
    sgg_ok("reward", ".", "trust=true", cwd=run)
    assert (tmp_path / "mark").exists()


def test_a_report_is_not_written_through_a_link(run, tmp_path):
    """Whether it has the report's name, or one that a file in the making might have."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("report.html", "report.partial", "report.html.partial"):
        (run / name).symlink_to(victim)
    sgg_ok("report", str(run), cwd=tmp_path)
    assert victim.read_text() == "mine"
    assert not (run / "report.html").is_symlink()
    assert "<html" in (run / "report.html").read_text()


def odd_images(folder):
    """Names for an annotation: a program for Ghostscript, and what a reader would wait for."""
    (folder / "postscript.jpg").write_text(EPS)
    (folder / "folder.png").mkdir()
    (folder / "endless.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    return ["postscript.jpg", "folder.png", "endless.png", "pipe.png"]


def test_images_that_are_programs_pipes_or_devices_are_counted(tmp_path):
    """No Ghostscript starts, nothing waits for a pipe's writer, and no device is read to its end."""
    folder, programs = tmp_path / "data", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path / 'mark'}\nexit 1\n")
    (programs / "gs").chmod(0o755)
    rows = [{"image": name, "width": 9, "height": 9, **GRAPH} for name in odd_images(folder)]
    (folder / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = sgg(
        *("prepare", "data=jsonl", f"data.root={folder}", "data.workers=1", "data.outside=true"),
        cwd=tmp_path,
        timeout=120,
        PATH=f"{programs}:{os.environ['PATH']}",
    )
    assert done.returncode == 2
    assert "broken_image: 4" in done.stderr
    assert not (tmp_path / "mark").exists()
