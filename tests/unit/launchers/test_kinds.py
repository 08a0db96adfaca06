"""What can be resumed; of anything else `sgg resume` says what it is, and the command for it."""

import json
import shlex

import pytest

from launchers.kinds import Kind, checked_config, frozen_config, kind_of
from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.errors import SggError
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord


def said(path):
    with pytest.raises(SggError, match="neither a run, a pipeline nor a sweep") as error:
        kind_of(path)
    return str(error.value)


@pytest.fixture
def run(tmp_path):
    """A run folder with a model and a checkpoint."""
    folder = tmp_path / "runs" / "a run"
    for name in ("model", "checkpoint-20"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").touch()
    (folder / "config.yaml").touch()
    (folder / "run.log").touch()
    return folder


def test_a_run_folder(run):
    assert kind_of(run) is Kind.run


def test_parts_of_a_run_name_the_run_and_what_else_they_are_for(run):
    resume = shlex.join(["sgg", "resume", str(run)])
    assert f"It is a file. Its run: {resume}" in said(run / "run.log")
    assert f"It is a file. Its run: {resume}" in said(run / "config.yaml")
    checkpoint = said(run / "checkpoint-20")
    assert "It is a checkpoint of a run" in checkpoint
    assert resume in checkpoint
    assert f'model.path="{run}/checkpoint-20"' in checkpoint
    model = said(run / "model")
    assert model.startswith(f"sgg resume '{run}/model': neither a run")
    assert "It is a model" in model
    assert f'model.path="{run}/model"' in model
    assert resume in model


def test_a_folder_of_runs_names_the_newest(run):
    assert f"It holds 1 run; the newest: sgg resume '{run}'" in said(run.parent)


def test_a_model_from_elsewhere(tmp_path):
    (tmp_path / "adapter_config.json").touch()
    assert f"It is a model, to start from with: sgg model.path={tmp_path} …" in said(tmp_path)


def test_nothing_there(run):
    assert "There is nothing of that name. Did you mean 'a run'?" in said(run.parent / "a ru")
    assert "There is nothing of that name." in said(run.parent / "no" / "such")
    empty = run.parent / "empty"
    empty.mkdir()
    assert f"It is empty. To start a run in it: sgg paths.run_dir={empty}" in said(empty)
    (empty / "notes.txt").touch()
    assert "config.yaml is missing there" in said(empty)
    assert said(empty / "notes.txt").endswith("It is a file.")


def test_a_sweep_and_what_lies_in_it(tmp_path):
    SweepRecord("local", 1, "/", "now", [], [], []).write(tmp_path)
    assert kind_of(tmp_path) is Kind.sweep
    run, chain = (tmp_path / "points" / name for name in ("000_seed-0", "001_seed-1"))
    for folder, name in ((run, "config.yaml"), (chain, "pipeline.json")):
        folder.mkdir(parents=True)
        (folder / name).touch()
        assert kind_of(folder) is Kind.sweep
    (run / "metrics.json").touch()
    assert kind_of(run) is Kind.run  # which is finished
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "sft.runs").touch()
    for folder in (tmp_path / "slurm", tmp_path / "points"):
        assert f"It lies in a sweep: sgg resume {tmp_path}" in said(folder)


def test_a_pipeline(tmp_path):
    (tmp_path / "pipeline.json").touch()
    assert kind_of(tmp_path) is Kind.pipeline


def test_a_damaged_config_of_a_job_has_no_command_that_makes_it_again(tmp_path):
    """A job's first words are those of its own program."""
    (tmp_path / "config.yaml").write_text("cut")
    for program, meant in (
        ("/sweep/code/launchers.node", False),
        ("/x/sgg/__main__.py", True),
    ):
        start = {"time": "2026-01-01", "command": f"{program} stage=sft"}
        (tmp_path / "provenance.json").write_text(json.dumps({"starts": [start]}))
        with pytest.raises(SggError, match="was damaged") as error:
            frozen_config(tmp_path)
        assert (f"sgg stage=sft paths.run_dir={tmp_path}" in str(error.value)) == meant
        assert ("Restore config.yaml from a backup" in str(error.value)) != meant


def test_a_damaged_config_of_a_point_or_a_step_has_a_command_that_runs_it_anew(tmp_path):
    """There is no copy of it to take."""
    sweep, pipeline = tmp_path / "sweep", tmp_path / "pipeline"
    runs = [RunRecord(1, "sft", None, "points/001")]
    points = [PointRecord("000", ["seed=0"]), PointRecord("001", ["tracker.group='a b'"])]
    words = ["paths.sweep_dir=x", "stage=sft"]
    for folder in (sweep / "points" / "001", pipeline / "sft"):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("cut")
    SweepRecord("slurm", 1, "/", "now", words, points, runs).write(sweep)
    (pipeline / "pipeline.json").write_text('{"steps": ["sft"]}')
    start = {"time": "2026-01-01", "command": "/x/bin/sgg pipeline=demo paths.run_dir=pipeline"}
    (pipeline / "sft" / "provenance.json").write_text(json.dumps({"starts": [start]}))
    for folder, command in (
        (sweep / "points" / "001", ["sgg", "stage=sft", "tracker.group='a b'"]),
        (pipeline / "sft", ["sgg", "pipeline=demo"]),
    ):
        with pytest.raises(SggError, match=r"Restore config\.yaml from a backup") as error:
            frozen_config(folder)
        assert shlex.split(str(error.value).partition("that was: ")[2]) == command


@pytest.mark.parametrize(
    "word",
    [
        "hardware.environment.LD_PRELOAD=/x.so",
        "+hardware.environment={LD_PRELOAD:/x.so}",
        "hardware={environment:{LD_PRELOAD:/x.so}}",
        "hardware.slurm={setup:[evil]}",
        "hardware.slurm.setup=[evil]",
        "hardware.slurm.python=/evil",
        "+reward.terms.x.import_path=evil:f",
        "reward.terms={x:{import_path:'evil:f'}}",
        "--config-dir=/evil",
        "hydra.searchpath=[/evil]",
    ],
)
def test_of_an_unsigned_command_nothing_that_runs_code_is_proposed(tmp_path, word):
    words = ["hardware=local_gpu", "stage=sft", word]
    (tmp_path / "config.yaml").write_text("cut")
    start = {"time": "2026-01-01", "command": shlex.join(["/x/bin/sgg", *words])}
    (tmp_path / "provenance.json").write_text(json.dumps({"starts": [start]}))
    with pytest.raises(SggError, match="so read it first") as error:
        frozen_config(tmp_path)
    note, _, command = str(error.value).partition("): ")
    assert shlex.quote(word) in note
    assert shlex.split(command) == ["sgg", *words[:2], f"paths.run_dir={tmp_path}"]


def test_what_goes_on_is_checked_as_when_it_began(tmp_path):
    config = compose_config(["stage=sft"])
    write_frozen(config, tmp_path / "config.yaml")
    assert checked_config(tmp_path) == config
    config.hardware.environment = {"RANK": "0"}
    write_frozen(config, tmp_path / "config.yaml")
    with pytest.raises(
        SggError, match=r"config\.yaml: hardware\.environment\.RANK: set by the launcher"
    ):
        checked_config(tmp_path)
