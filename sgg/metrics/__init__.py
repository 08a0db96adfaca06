"""Metrics: pure functions over graphs and matches."""
