"""samples.jsonl: written, read back, cut after the step that a run resumes from."""

import json

import pytest

from sgg.errors import SggError
from sgg.runs.folder import SAMPLES
from sgg.runs.training_samples import (
    SampleKind,
    TrainingSample,
    append_samples,
    forget_samples_after,
    read_samples,
)


def sample(step, kind=SampleKind.rotating, **fields):
    return TrainingSample(step, "im/1.png", kind, "<answer>{}\u2028</answer>", **fields)


def test_samples_come_back_as_they_were_written(tmp_path):
    written = [
        sample(0, SampleKind.fixed),
        sample(1, reward={"format": 1.0, "edge_hard": None}, total=1.0),
        sample(2, total=-0.5),
    ]
    append_samples(tmp_path, written[:2])
    append_samples(tmp_path, written[2:])
    assert read_samples(tmp_path) == written
    [_, row, _] = (tmp_path / SAMPLES).read_text().splitlines()
    assert json.loads(row) == {
        "step": 1,
        "image_id": "im/1.png",
        "kind": "rotating",
        "text": "<answer>{}\u2028</answer>",
        "reward": {"format": 1.0, "edge_hard": None},
        "total": 1.0,
    }


def test_a_run_without_samples_has_none(tmp_path):
    forget_samples_after(tmp_path, 3)
    assert read_samples(tmp_path) == []
    assert not (tmp_path / SAMPLES).exists()


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_samples_of_later_steps_are_forgotten(tmp_path, step, kept):
    """At step 0 nothing has been trained: those of the start weights are made again, too."""
    append_samples(tmp_path, [sample(n) for n in (0, 1, 2, 3)])
    forget_samples_after(tmp_path, step)
    assert [s.step for s in read_samples(tmp_path)] == kept


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path):
    append_samples(tmp_path, [sample(1)])
    with (tmp_path / SAMPLES).open("a") as file:
        file.write('{"step": 2, "imag')
    assert [s.step for s in read_samples(tmp_path)] == [1]


@pytest.mark.parametrize(
    "row",
    [
        '{"step": 1}',
        '{"step": "1", "image_id": "a", "kind": "fixed", "text": ""}',
        '{"step": 1, "image_id": "a", "kind": "other", "text": ""}',
        "[]",
    ],
)
def test_a_line_of_another_form_is_named(tmp_path, row):
    (tmp_path / SAMPLES).write_text(row + "\n")
    with pytest.raises(SggError, match=r"samples\.jsonl, line 1"):
        read_samples(tmp_path)
