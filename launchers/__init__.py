"""How processes start: on this machine, on the nodes of a job, in sweeps."""

SILENT = "silent"
"""Argument of `launchers.node`: who started it says how the run ended."""

ACCEPTED = "accepted"
"""Argument of `launchers.node`: who started it has found that the user has made or accepted the run."""
