"""Metrics: pure functions over graphs."""
