"""Several seeds of one configuration: their mean, and how sure it is over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from sgg.metrics.bootstrap import LEVEL


def half_width(values: Sequence[float]) -> float:
    """Half of the 95 % t interval of the mean of two or more seeds: t · s / √n.

    >>> round(half_width([0.4, 0.5, 0.6]), 4)
    0.2484
    """
    n = len(values)
    quantile = float(stdtrit(n - 1, (1 + LEVEL) / 2))
    return quantile * float(np.std(values, ddof=1)) / n**0.5
