"""Whether a config can run, before it is queued: rules, batch sizes, what must be present."""
