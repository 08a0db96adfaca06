"""How processes start: on this machine now, on a cluster later."""

UNTOLD = "untold"
"""Second word of `launchers.node`: who started it tells how the run ended."""
