"""How processes start: on this machine now, on a cluster later."""
