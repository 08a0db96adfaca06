"""How processes start: on this machine, on the nodes of a job, in sweeps."""

UNTOLD = "untold"
"""Second word of `launchers.node`: who started it tells how the run ended."""
