"""Weights are looked for where the run will: in the hub's folder that its profile names."""

import os
import shutil

import pytest
from commands import sgg

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.models.weights import locate
from sgg.plan.presence import Preflight


@pytest.fixture
def hub(tmp_path):
    """The words of a profile whose hub has one model, tiny/one."""
    model = tmp_path / "shared" / "hub" / "models--tiny--one"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("1" * 40)
    shutil.copytree(locate("tiny_qwen2_5_vl"), model / "snapshots" / ("1" * 40))
    return [
        f"hardware.environment.{word}"
        for word in (f"HF_HOME={tmp_path}/shared", "HF_HUB_OFFLINE=1")
    ]


def submit(tmp_path, *words):
    """With a shell that has a hub's folder of its own, and a stand-in for sbatch."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text("#!/bin/sh\necho 77\n")
    (programs / "sbatch").chmod(0o755)
    where = ["hydra/launcher=slurm", f"paths.sweep_dir={tmp_path}/sweep"]
    shell = {"HF_HOME": f"{tmp_path}/home", "PATH": f"{programs}:{os.environ['PATH']}"}
    return sgg("stage=sft", *where, *words, cwd=tmp_path, **shell)


def test_weights_are_found_where_the_job_will_find_them(hub, tmp_path):
    done = submit(tmp_path, "model.path=tiny/one", *hub)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (tmp_path / "home").exists()


def test_weights_that_only_the_shell_would_find_are_missing(hub, tmp_path):
    shutil.move(tmp_path / "shared", tmp_path / "home")
    done = submit(tmp_path, "model.path=tiny/one", *hub)
    assert done.returncode == 2
    assert f"`HF_HOME={tmp_path}/shared hf download tiny/one`" in done.stderr


def test_a_dry_run_looks_there_too(hub, tmp_path):
    done = submit(tmp_path, "model.path=tiny/one", *hub, "dry_run=true")
    assert "1.61 million parameters" in done.stdout


def test_points_that_look_in_different_places_are_told_apart(hub, tmp_path):
    words = ["-m", "model.path=tiny/one", hub[1], f"{hub[0]},{tmp_path}/other"]
    done = submit(tmp_path, *words)
    assert done.returncode == 2
    assert f"HF_HOME={tmp_path}/other: another point has looked for weights with" in done.stderr


SIGNED = [
    *("stage=eval", "generate=server"),
    *("generate.servers=[http://127.0.0.1:9]", "generate.api_key_env=SGG_SERVER_KEY"),
]


def test_signed_requests_need_the_key_before_the_run_has_a_folder(monkeypatch):
    monkeypatch.delenv("SGG_SERVER_KEY", raising=False)
    with pytest.raises(SggError, match="SGG_SERVER_KEY is not set here"):
        Preflight().check(compose_config(SIGNED))
    for more in ("hardware.environment.SGG_SERVER_KEY=k", "hardware.slurm.setup=[source keys]"):
        Preflight().check(compose_config([*SIGNED, more]))
    monkeypatch.setenv("SGG_SERVER_KEY", "k")
    Preflight().check(compose_config(SIGNED))
