"""Which completions of a step are kept, and what is written of them."""

import math

import pytest

from sgg.runs.training_samples import SampleKind, TrainingSample, read_samples
from sgg.train.samples import MOST_STEPS, StepSamples, spread

IDS = ["a", "a", "a", "b", "b", "b"]


def keep(samples, step, steps=10, count=6):
    samples.keep(
        step,
        steps,
        IDS[:count],
        [f"text {n}" for n in range(count)],
        {"format": [1.0] * count, "edge_hard": [0.25, math.nan, 0.5, 0, 0, math.nan][:count]},
        {"format": 2.0, "edge_hard": 4.0},
    )


@pytest.mark.parametrize(
    ("count", "places"), [(0, []), (1, [0]), (2, [0, 3]), (3, [0, 3, 1]), (9, [0, 3, 1, 4, 2, 5])]
)
def test_as_many_images_as_can_be_are_kept(count, places):
    assert spread(IDS, count) == places


def test_terms_stand_unweighted_beside_their_sum(tmp_path):
    keep(StepSamples(tmp_path, 3), 1)
    rotating = SampleKind.rotating
    assert read_samples(tmp_path) == [
        TrainingSample(1, "a", rotating, "text 0", {"format": 1.0, "edge_hard": 0.25}, 3.0),
        TrainingSample(1, "b", rotating, "text 3", {"format": 1.0, "edge_hard": 0.0}, 2.0),
        TrainingSample(1, "a", rotating, "text 1", {"format": 1.0, "edge_hard": None}, 2.0),
    ]


def test_a_completion_that_no_term_gave_a_number_has_no_total(tmp_path):
    StepSamples(tmp_path, 1).keep(1, 1, ["a"], ["t"], {"x": [math.nan]}, {"x": 1.0})
    [sample] = read_samples(tmp_path)
    assert (sample.reward, sample.total) == ({"x": None}, None)


def test_a_step_that_generates_twice_is_kept_once(tmp_path):
    samples = StepSamples(tmp_path, 2)
    for step in (1, 1, 2, 2):
        keep(samples, step)
    assert [s.step for s in read_samples(tmp_path)] == [1, 1, 2, 2]


def test_of_a_long_training_steps_are_left_out_evenly(tmp_path):
    samples = StepSamples(tmp_path, 1)
    for step in range(1, 13):
        keep(samples, step, steps=5 * MOST_STEPS)
    assert [s.step for s in read_samples(tmp_path)] == [1, 6, 11]


def test_none_are_kept_where_none_are_wanted(tmp_path):
    keep(StepSamples(tmp_path, 0), 1)
    assert list(tmp_path.iterdir()) == []
