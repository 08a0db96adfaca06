"""The t interval over seeds, beside tables of Student's t."""

from __future__ import annotations

import pytest

from sgg.metrics.seeds import half_width


@pytest.mark.parametrize(
    ("values", "half"),
    [
        ([0.4, 0.6], 12.7062 * 0.1),  # s / √2 = .1
        ([0.4, 0.5, 0.6], 4.30265 * 0.1 / 3**0.5),
        ([0.3, 0.3, 0.3], 0),
    ],
)
def test_quantile_times_standard_error(values, half):
    assert half_width(values) == pytest.approx(half, rel=1e-5)
