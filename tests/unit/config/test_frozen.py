"""A frozen config is what was composed, whatever its strings look like, and loading resolves nothing."""

import copy
import errno
import os
import time

import pytest
import yaml
from commands import sgg, sgg_ok
from hypothesis import given, settings
from hypothesis import strategies as st

from launchers.sweep.points import compose_points
from sgg.cli.run_config import config_for
from sgg.config.compose import Composer
from sgg.config.frozen import read_frozen, write_frozen
from sgg.config.literal import dumps, loads
from sgg.config.reward import TermConfig
from sgg.config.stage import StageName
from sgg.errors import SggError

compose = Composer().compose
STAGES = {name: compose([f"stage={name.name}"]) for name in StageName}
"""A composed config of each stage."""

ODD = [
    *("${x}", r"\${x}", r"\\${x}", "${oc.env:HOME}", "${", "$", "???", "}{", "${x}\n${y"),
    *("yes", "No", "on", "y", "~", "null", "", " ", "true", "1", "1e3", "1_000", "0x1f", "0o17"),
    *(
        "1:30",
        ".inf",
        "-.5",
        "2024-01-01",
        "=",
        "<<",
        "- a",
        "? b",
        "!tag",
        "&a",
        "*a",
        "%",
        "@",
        "`",
    ),
    *(
        "a: b",
        "a #b",
        "#",
        "'",
        '"',
        "\\",
        "a\\",
        "it's",
        "a\nb",
        "a\n\n b \n",
        "\ta",
        "a ",
        "a\r\nb",
    ),
    *(
        "\x00\x1b",
        "\x85\u2028\ufeff",
        "图像/é",
        "\U0001f600",
        os.fsdecode(b"/data/\xff"),
        "[a]",
        "{a}",
    ),
]

texts = st.sampled_from(ODD) | st.text(max_size=12) | st.binary(max_size=6).map(os.fsdecode)
plains = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_config_comes_back(data, tmp_path_factory):
    config = copy.deepcopy(STAGES[data.draw(st.sampled_from(list(StageName)))])
    config.data.root, config.tracker.group, config.paths.cache = (data.draw(texts) for _ in "abc")
    config.hardware.environment = data.draw(st.dictionaries(texts, texts, max_size=3))
    config.hardware.slurm.setup = data.draw(st.lists(texts, max_size=3))
    config.hardware.slurm.sbatch = data.draw(st.dictionaries(texts, plains, max_size=3))
    config.deepspeed = data.draw(st.none() | st.dictionaries(texts, plains, max_size=3))
    options = data.draw(st.dictionaries(texts, plains, max_size=3))
    config.reward.terms = {data.draw(texts): TermConfig(options=options, gate=data.draw(texts))}
    if config.stage.name is not StageName.eval:
        config.stage.args = data.draw(st.dictionaries(texts, plains, max_size=3))
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    write_frozen(config, path)
    assert read_frozen(path) == config


@given(tree=st.dictionaries(texts, plains, max_size=3))
def test_every_tree_comes_back(tree):
    text = dumps(tree)
    assert loads(text) == tree
    assert yaml.safe_load(text) == tree, "other readers of YAML see the same"


@pytest.mark.parametrize("text", ODD)
def test_every_text_comes_back(text):
    assert loads(dumps({text: [text]})) == {text: [text]}


@pytest.mark.parametrize(
    "word",
    [
        r"hardware.slurm.setup=['export SCRATCH=/scratch/\${SLURM_JOB_ID}']",
        r"hardware.environment.SCRATCH='/scratch/\${USER}'",
        r"data.root='/data/\${x}'",
        r"tracker.group=\${x}",
        r"tracker.group='a\\\${oc.env:HOME}\\'",
        "stage.args.optim_args='yes'",
        "hardware.environment={MY.KEY-1: '~'}",
    ],
)
def test_what_was_composed_comes_back(word, tmp_path):
    config = compose([word])
    write_frozen(config, tmp_path / "config.yaml")
    assert read_frozen(tmp_path / "config.yaml") == config


def test_a_strangers_config_cannot_read_the_environment(tmp_path, monkeypatch):
    """Neither loading it nor any tool that takes it looks anything up."""
    monkeypatch.setenv("STRANGERS_AIM", "hidden")
    config = copy.deepcopy(STAGES[StageName.eval])
    text = dumps(config).replace("root: null", "root: ${oc.env:STRANGERS_AIM}", 1)
    assert "STRANGERS_AIM" in text
    (tmp_path / "config.yaml").write_text(text)
    for read in (read_frozen(tmp_path / "config.yaml"), config_for(tmp_path, ["seed=3"])):
        assert read.data.root == "${oc.env:STRANGERS_AIM}"
    sgg_ok("report", str(tmp_path), cwd=tmp_path)
    assert "hidden" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 0", "seed: zero", "seed='zero': must be a whole number"),
        ("seed: 0", "seed: 0\nseed: 1", "seed stands there twice"),
        ("seed: 0", "sed: 0", "sed: no such key. Did you mean 'seed'?"),
        ("  source: shapes\n", "", "data.source: missing"),
        ("source: shapes", "source: shape", "data.source='shape': must be one of rows, vg"),
        ("name: eval", "name: test", "stage.name=test: must be one of sft, grpo, eval"),
        ("root: null", "root: [1]", "data.root=[1]: must be text"),
        ("root: null", "root: 2024", "data.root=2024: must be text, in quotes"),
        ("root: null", "root: !!python/name:os.system x", "not a config that sgg has written"),
        ("servers: []", "servers: &a [*a]", "values are not shared"),
        ("clip_boxes: true", "clip_boxes: 1", "data.clip_boxes=1: must be true or false"),
        ("seed: 0", "[1]: 0", "found unhashable key"),
        ("seed: 0", f"#{'-' * (1 << 20)}\nseed: 0", "longer than 1048576 bytes"),
    ],
)
def test_a_config_that_does_not_fit_is_told(old, new, said, tmp_path):
    path = tmp_path / "config.yaml"
    text = dumps(STAGES[StageName.eval])
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SggError) as error:
        read_frozen(path)
    assert str(path) in str(error.value)
    assert said in str(error.value)


def test_a_config_of_many_keys_is_refused_in_seconds(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("".join(f"k{number}: 1\n" for number in range(60_000)))
    began = time.monotonic()
    with pytest.raises(SggError, match="no such key"):
        read_frozen(path)
    assert time.monotonic() - began < 60


def test_a_config_is_not_read_through_a_link(tmp_path):
    write_frozen(STAGES[StageName.eval], tmp_path / "there.yaml")
    (tmp_path / "config.yaml").symlink_to("there.yaml")
    with pytest.raises(OSError, match=r"config\.yaml") as error:
        read_frozen(tmp_path / "config.yaml")
    assert error.value.errno == errno.ELOOP


def test_a_number_may_be_written_by_hand_as_yaml_1_2_has_it(tmp_path):
    path = tmp_path / "config.yaml"
    text = dumps(STAGES[StageName.sft])
    path.write_text(text.replace("learning_rate: 0.001", "learning_rate: 1e-3", 1))
    assert "1e-3" in path.read_text()
    assert read_frozen(path) == STAGES[StageName.sft]


WORDS = [r"tracker.group='\${x}'", r"hardware.environment.SCRATCH=/s/\${JOB}", "debug=steps"]


def test_steps_of_a_pipeline_and_their_jobs_are_composed_from_the_words_as_typed(tmp_path):
    """They are composed again after Hydra; the job's script holds the lines as they are meant."""
    setup = r"hardware.slurm.setup=['export SCRATCH=/scratch/\${SLURM_JOB_ID}']"
    words = [*WORDS[:2], setup, "debug=fast", "pipeline=sft_grpo_eval", "dry_run=true"]
    jobs = sgg_ok(*words, "hydra/launcher=slurm", cwd=tmp_path).stdout
    assert jobs.count("\nexport SCRATCH=/scratch/${SLURM_JOB_ID}\n") == 3
    assert jobs.count("SCRATCH='/s/${JOB}'") == 3


@pytest.mark.slow
def test_a_run_with_such_words_runs_resumes_and_reports(tmp_path):
    """Through the run folder, a rank of its own, report, status and resume."""
    run = tmp_path / "run"
    sgg_ok(*WORDS, f"paths.run_dir={run}", cwd=tmp_path)
    config = read_frozen(run / "config.yaml")
    assert (config.tracker.group, config.hardware.environment) == ("${x}", {"SCRATCH": "/s/${JOB}"})
    assert "${JOB}" in (run / "report.html").read_text()
    assert "finished" in sgg("status", str(run), cwd=tmp_path).stdout
    sgg_ok("resume", str(run), cwd=tmp_path)


def test_points_of_a_sweep_are_frozen_with_the_words_as_typed(tmp_path):
    lines = [[WORDS[1], rf"tracker.group={value}"] for value in (r"\${x}", r"'\${y}'")]
    for point in compose_points(lines, Composer(), tmp_path, lambda config: None):
        point.write_frozen()
    frozen = [read_frozen(path) for path in sorted(tmp_path.rglob("config.yaml"))]
    assert [config.tracker.group for config in frozen] == ["${x}", "${y}"]
    assert [c.hardware.environment for c in frozen] == [{"SCRATCH": "/s/${JOB}"}] * 2
