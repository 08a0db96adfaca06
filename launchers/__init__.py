"""How processes start: on this machine, on the nodes of a job, in sweeps."""

UNTOLD = "untold"
"""Second argument of `launchers.node`: who started it says how the run ended."""
