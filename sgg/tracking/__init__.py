"""Experiment trackers beside the run folder."""
