"""The size of a resized image against transformers, whose import takes seconds."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from sgg.scene.boxes import resized_size

SIDES = st.integers(1, 4000)
BUDGETS = [(3136, 802816), (3136, 1280 * 784), (256 * 784, 256 * 784), (784, 784), (1, 50_000)]


@given(SIDES, SIDES, st.sampled_from(BUDGETS), st.sampled_from([14, 28, 32]))
def test_resized_size_is_the_processors_rule(width, height, budget, factor):
    """The one of transformers: `smart_resize`, which takes (height, width) and refuses ratios over 200."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    assume(max(width, height) <= 200 * min(width, height))
    h, w = smart_resize(height, width, factor, min_pixels=budget[0], max_pixels=budget[1])
    assert resized_size(width, height, *budget, factor) == (w, h)
