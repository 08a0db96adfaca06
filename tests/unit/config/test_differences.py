"""What two configs differ in."""

from __future__ import annotations

from sgg.config.compose import compose_config
from sgg.config.differences import differences


def test_flat_keys_and_both_values_of_two_configs():
    one = compose_config(["stage=eval"])
    other = compose_config(
        ["stage=eval", "seed=3", "data.eval.limit=5", "protocol.iou_threshold=0.3"]
    )
    assert differences(one, one) == {}
    assert differences(one, other) == {
        "seed": (0, 3),
        "data.eval.limit": (one.data.eval.limit, 5),
        "protocol.iou_threshold": (0.5, 0.3),
    }


def test_what_only_one_side_has():
    """A leaf beside a branch is one difference; the side without a key has nothing."""
    assert differences({"a": {"b": 1}}, {"a": 2}) == {"a": ({"b": 1}, 2)}
    assert differences({"a": 1}, {"c": {"d": 2}}) == {"a": (1, None), "c": (None, {"d": 2})}
