"""Which names of metrics a protocol has, and which of two values is better."""

import pytest

from sgg.config.protocol import ProtocolConfig
from sgg.metrics.names import is_better, metric_names, quality_names


def test_names_follow_the_protocol():
    names = {*metric_names(ProtocolConfig(cutoffs=[7], zero_shot=None))}
    assert {"R", "R@7", "phrdet ngmR@7", "AP50", "failure_rate"} <= names
    assert not {"R@20", "zR"} & names


def test_what_silence_is_best_at_is_no_quality():
    protocol = ProtocolConfig()
    left_out = {"relations_per_image", "duplicate_rate"}
    assert {*metric_names(protocol)} - {*quality_names(protocol)} == left_out


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [("R@50", 0.3, 0.2), ("AP", 0.3, 0.2), ("failure_rate", 0.1, 0.2), ("duplicate_rate", 0, 1)],
)
def test_faults_are_better_when_fewer(name, better, worse):
    assert is_better(name, better, worse)
    assert not is_better(name, worse, better)
    assert not is_better(name, better, better)
