"""What a user has neither made nor accepted does not run: it is told what would, and one word accepts it."""

import os
import platform
import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launchers.consent import require_consent
from launchers.sweep.cancel import cancel_sweep
from launchers.sweep.commands import Resuming, resume_sweep
from sgg.cli.resume import main as resume
from sgg.config.compose import compose_config
from sgg.config.frozen import FROZEN_NAME, read_frozen, write_frozen
from sgg.config.reward import TermConfig
from sgg.config.tracker import TrackerConfig
from sgg.errors import SggError
from sgg.runs.checkpoint import mark_complete
from sgg.runs.checkpoint_signature import sign_checkpoint
from sgg.runs.signature import is_signed_run, sign_run
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord, read_sweep


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A run folder of somebody else, whose reward term would leave a mark where it is imported."""
    lib = tmp_path / "lib"
    lib.mkdir()
    (lib / "strangers_term.py").write_text(
        f"open({str(tmp_path / 'mark')!r}, 'w')\ndef f(case):\n    return 0.0\n"
    )
    monkeypatch.syspath_prepend(lib)
    run = tmp_path / "run"
    config = compose_config(["stage=grpo", f"paths.run_dir={run}"])
    config.reward.terms["x"] = TermConfig(import_path="strangers_term:f")
    config.hardware.environment = {"LD_PRELOAD": "/evil.so", "NAME": "a b"}
    config.hardware.environment["WANDB_BASE_URL"] = "http://evil"
    config.hardware.environment["HF_ENDPOINT"] = "http://evil.hub"
    config.hardware.slurm.setup = ["module load evil\x1b[31m"]
    config.hardware.slurm.prefix = ["apptainer", "exec", "my image.sif"]
    config.hardware.slurm.python = "/evil/python"
    config.hardware.slurm.sbatch = {"mail-user": "evil"}
    config.generate.servers = ["http://evil:80"]
    config.generate.api_key_env = "AWS_SECRET_ACCESS_KEY"
    config.deepspeed = {"zero_optimization": {"stage": 2}}
    state = run / "checkpoint-3" / "global_step3"
    state.mkdir(parents=True)
    (state / "optim_states.pt").touch()
    mark_complete(run / "checkpoint-3")
    config.tracker = TrackerConfig(wandb=True, tensorboard=True, entity="evil", upload_model=True)
    config.paths.cache = "/evil/cache"
    config.data.root = "/evil/data"
    config.data.outside = True
    config.data.train.path, config.data.eval.path = "/home/me/private", "evil/hub"
    config.reward.embedding = "/evil/words"
    config.protocol.zero_shot = "~/private.json"
    config.model.path, config.model.revision = "evil/model", "main"
    write_frozen(config, run / FROZEN_NAME)
    return run


def test_a_strangers_run_is_told_and_not_run(strange, tmp_path):
    before = sorted(strange.rglob("*"))
    with pytest.raises(SggError) as refused:
        resume([str(strange)])
    told = str(refused.value)
    for words in (
        f"{strange}: you have neither made nor accepted it.",
        "/evil/python -m launchers.node",
        "environment   LD_PRELOAD=/evil.so",
        "environment   NAME='a b'",
        "setup         'module load evil\\x1b[31m'",
        "prefix        apptainer exec 'my image.sif'",
        "sbatch        --mail-user=evil",
        "import        strangers_term:f (reward.terms.x)",
        "server        http://evil:80; the key in AWS_SECRET_ACCESS_KEY is SENT to it",
        "model         evil/model, revision main",
        "pickled state 1 file in checkpoint-3; DeepSpeed unpickles",
        "tracker       wandb: project sgg of evil, with your key, which is SENT to http://evil; the files "
        "of the final model are UPLOADED",
        "hub           your Hugging Face token is SENT to http://evil.hub",
        "tracker       tensorboard: in the run folder",
        'deepspeed     {"zero_optimization": {"stage": 2}}',
        "reads         /evil/data (data.root)",
        "reads         /home/me/private (data.train.path)",
        "reads         evil/hub (data.eval.path)",
        "reads         /evil/words (reward.embedding)",
        "reads         ~/private.json (protocol.zero_shot)",
        "reads         image files ANYWHERE that the data names (data.outside=true)",
        "writes        /evil/cache (paths.cache)",
        f"in            {Path.cwd()}",
        f"Accept it, once and for all, by: sgg resume {strange} trust=true",
    ):
        assert words in told
    assert "\x1b" not in told
    assert not (tmp_path / "mark").exists()
    assert sorted(strange.rglob("*")) == before


def test_only_a_refusal_says_by_which_command_a_long_list_is_read(strange, capsys):
    """Once the folder is accepted, that command starts the run."""
    config = read_frozen(strange / FROZEN_NAME)
    config.hardware.environment = {f"HARMLESS_{i}": "1" for i in range(300)}
    write_frozen(config, strange / FROZEN_NAME)
    command = ["sgg", "resume", str(strange)]
    with pytest.raises(SggError, match=r"\n  Read all \d+, as by: sgg resume .* | less\nAccept it"):
        require_consent([strange], command, trust=False)
    require_consent([strange], command, trust=True)
    told = capsys.readouterr().out
    assert "HARMLESS_299" in told
    assert "Read all" not in told


def test_trust_accepts_it_once_and_for_all(strange, capsys):
    command = ["sgg", "resume", str(strange)]
    require_consent([strange], command, trust=True)
    told = capsys.readouterr().out
    assert "accepted as yours by trust=true. As you, and with your rights, it runs:" in told
    assert "environment   LD_PRELOAD=/evil.so" in told  # which may have come since the refusal
    assert "pickled state 1 file in checkpoint-3" in told
    assert is_signed_run(strange)
    require_consent([strange], command, trust=False)
    assert capsys.readouterr().out == ""


def test_an_own_run_goes_on_by_itself_until_the_secret_is_another(
    strange, tmp_path, monkeypatch, capsys
):
    command = ["sgg", "resume", str(strange)]
    sign_run(strange)
    sign_checkpoint(strange / "checkpoint-3")
    require_consent([strange], command, trust=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    with pytest.raises(
        SggError, match=r"your secret .* is another one now[^$]*XDG_CONFIG_HOME[^$]*trust=true"
    ):
        require_consent([strange], command, trust=False)
    require_consent([strange], command, trust=True)
    require_consent([strange], command, trust=False)


def test_a_checkpoint_that_was_put_into_an_own_run_is_told_and_not_unpickled(strange):
    """A signed run's copy with another's state in it was resumed without a question."""
    command = ["sgg", "resume", str(strange)]
    require_consent([strange], command, trust=True)
    shutil.copytree(strange / "checkpoint-3", strange / "checkpoint-4")
    with pytest.raises(SggError) as refused:
        require_consent([strange], command, trust=False)
    assert (
        "its config, but checkpoint-4 has no signature of yours. Was it written on a node"
        in str(refused.value)
    )
    assert "1 file in checkpoint-4; DeepSpeed unpickles" in str(refused.value)
    require_consent([strange], command, trust=True)
    require_consent([strange], command, trust=False)


def test_a_decoy_hides_no_pickled_state(strange):
    """The newest folder is empty, and the run would resume from the one before it."""
    (strange / "checkpoint-6").mkdir()
    with pytest.raises(SggError, match=r"1 file in checkpoint-3; DeepSpeed unpickles"):
        require_consent([strange], ["sgg"], trust=False)


def test_who_signed_it_is_told(strange, tmp_path, monkeypatch):
    with pytest.raises(SggError, match="Nobody has signed it"):
        require_consent([strange], ["sgg"], trust=False)
    sign_run(strange)
    (strange / "signed" / "x").write_text(
        '{"user": 1, "host": "a\\u001b[31m", "time": "2001-01-01"}'
    )
    (strange / "signed" / "y").write_text("[]")
    for i in range(3):  # as of a sweep, which is signed again at each resume
        later = f'{{"user": 2, "host": "b", "time": "2001-01-02T0{i}:00:00"}}'
        (strange / "signed" / f"z{i}").write_text(later)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    with pytest.raises(SggError) as refused:
        require_consent([strange], ["sgg"], trust=False)
    signed = f"user {os.getuid()} on {platform.node()}, {datetime.now(UTC):%Y-%m-%d}"
    signers = f"'user 1 on a\\x1b[31m, 2001-01-01'; user 2 on b, 2001-01-02; {signed}"
    assert f"was signed by {signers}. So" in str(refused.value)


@pytest.fixture
def sweep(strange, tmp_path):
    """A sweep of somebody else with that run in it."""
    runs = [RunRecord(0, "grpo", None, "run", [])]
    points, host = [PointRecord("000", [])], platform.node()
    record = SweepRecord("local", 1, "/evil/cwd", "", [], points, runs, host, "1@0")
    record.write(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "evil.py").touch()
    return record


def test_a_strangers_sweep_is_told_and_neither_run_nor_cancelled(sweep, strange, tmp_path):
    for verb in (lambda: resume_sweep(tmp_path, Resuming()), lambda: cancel_sweep(tmp_path)):
        with pytest.raises(SggError, match=r"neither made nor accepted|not started this sweep"):
            verb()
    with pytest.raises(SggError) as refused:
        require_consent(
            [strange],
            ["sgg", "resume", str(tmp_path)],
            trust=False,
            sweep=(tmp_path, read_sweep(tmp_path)),
        )
    told = str(refused.value)
    assert f"code          {tmp_path / 'code'} (1 file), instead of the installed sgg" in told
    assert "in            /evil/cwd" in told
    assert "import        strangers_term:f" in told
    assert not (tmp_path / "cancelled").exists()
    assert not (tmp_path / "mark").exists()


def test_an_own_sweep_of_an_earlier_version_is_not_called_a_strangers(sweep, tmp_path):
    """It has the signature over what it runs, and none over who has started it."""
    sweep.sign(tmp_path)
    with pytest.raises(SggError, match="so an earlier version of sgg started it, or") as refused:
        cancel_sweep(tmp_path)
    assert "was signed by" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_command_that_accepts_it_is_the_one_that_was_given(sweep, tmp_path):
    """The part alone, with the same arguments: pasted, it starts no other run and asks Slurm for no less."""
    words = ["hardware.slurm.setup=['a b']", "parallel=2", "retries=0", "wait=true"]
    with pytest.raises(SggError) as refused:
        resume([str(tmp_path / "run"), *words])
    command = str(refused.value).splitlines()[-1].partition("by: ")[2]
    program, verb, folder, *arguments = shlex.split(command)
    assert (program, verb, folder) == ("sgg", "resume", str(tmp_path / "run"))
    assert sorted(arguments) == sorted([*words, "trust=true"])


def test_of_an_own_sweep_a_run_that_was_put_in_is_told(sweep, strange, tmp_path):
    sweep.sign(tmp_path)
    with pytest.raises(SggError) as refused:
        require_consent(
            [strange],
            ["sgg", "resume", str(tmp_path)],
            trust=False,
            sweep=(tmp_path, read_sweep(tmp_path)),
        )
    assert "LD_PRELOAD" in str(refused.value)
    assert "instead of the installed sgg" not in str(refused.value)
    require_consent([strange], ["sgg"], trust=True, sweep=(tmp_path, read_sweep(tmp_path)))
    assert sweep.is_signed(tmp_path)
    assert is_signed_run(strange)


@pytest.mark.parametrize("word", ["trust=yes", "trust=", "trsut=true"])
def test_the_word_is_true_or_false(strange, word):
    with pytest.raises(SggError, match=r"trust"):
        resume([str(strange), word])
    assert not is_signed_run(strange)
