"""What `sgg resume ` may change: its words are read as those of a first submission are."""

import pytest

from launchers.sweep.changes import change_jobs
from sgg.config.compose import Composer
from sgg.config.frozen import read_frozen, write_frozen
from sgg.explain.exceptions import explain
from sgg.runs.sweep import PointRecord, RunRecord, SweepRecord

TINY = ["stage=sft", r"prompt.system='literal \${paths.root}'"]


@pytest.fixture
def changed(tmp_path):
    """The config of a sweep's only run after these words, and as a first submission has it."""
    words = [*TINY, f"paths.root={tmp_path}/runs"]

    def change(*changes):
        record = SweepRecord("slurm", 1, str(tmp_path), "2025-01-01T00:00:00+00:00", [], [], [])
        record.points = [PointRecord("000", [])]
        record.runs = [RunRecord(0, "sft", None, "points/000")]
        path = tmp_path / "points/000/config.yaml"
        path.parent.mkdir(parents=True)
        write_frozen(Composer().compose(words), path)
        change_jobs(tmp_path, record, record.runs, 0, changes)
        return read_frozen(path), Composer().compose([*words, *changes])

    return change


@pytest.mark.parametrize(
    "word",
    [
        r"hardware.slurm.setup=['export A=\${SLURM_JOB_ID}', 'cd ${paths.root}']",
        r"hardware.slurm.setup=['echo \\\${B}', 'echo C\\']",
        "hardware.slurm.partition=${paths.root}",
        "hardware.slurm.account=${oc.env:HOME}",
        "hardware.slurm.account=007",
        "hardware.slurm.time_min=${hardware.slurm.signal_before_end_s}",
        "hardware.slurm.gpu_request=gres",
        "hardware.slurm.exclude=null",
        "++hardware.slurm.sbatch.mail-type=END",
        "++hardware.slurm.sbatch={comment:'${seed}'}",
    ],
)
def test_a_word_means_what_it_means_to_a_first_submission(changed, word):
    now, first = changed(word)
    assert now == first
    assert now.prompt.system == "literal ${paths.root}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hardware.slurm.partition=${nowhere}", "which has no nowhere"),
        ("hardware.slurm.partition.x=1", "hardware.slurm.partition.x"),
        ("hardware.slurm.setup.x=1", "hardware.slurm.setup is a list"),
        ("hardware.slurm.setup.x.y=1", "hardware.slurm.setup is a list"),
        (
            "hardware.slurm.partitoin=x",
            "hardware.slurm.partitoin: no such key. Did you mean 'partition'",
        ),
        ("hardware.slurm.time_min=long", "hardware.slurm.time_min"),
        ("hardware.slurm.gpu_request=all", "hardware.slurm.gpu_request"),
        ("hardware.slurm.time_min=0", "hardware.slurm.time_min=0: must be 1 or more"),
        ("~hardware.slurm.account", "or hardware.slurm.account=VALUE"),
        ("seed=1", "only hardware.slurm.… can change"),
        ("hardware=a100", "only hardware.slurm.… can change"),
    ],
)
def test_a_mistake_is_told_in_words_and_nothing_changes(changed, word, said, tmp_path):
    with pytest.raises(Exception) as raised:
        changed(word)
    told = explain(raised.value)
    assert said in (told or "")
    assert read_frozen(tmp_path / "points/000/config.yaml") == Composer().compose(
        [*TINY, f"paths.root={tmp_path}/runs"]
    )
