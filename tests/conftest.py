"""Settings for all tests. Its place also puts `strategies` on the import path."""

from __future__ import annotations

from hypothesis import settings

# Same examples on every run, no time limit per example on busy machines, no folder left behind.
settings.register_profile("sgg", deadline=None, derandomize=True, database=None, max_examples=100)
settings.load_profile("sgg")
