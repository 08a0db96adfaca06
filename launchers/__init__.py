"""How processes start: on this machine, on the nodes of a job, in sweeps.

`launchers.node` has one argument in every version, the frozen config: a sweep runs the code that began it,
and a later version starts that. Environment variables tell it all else, since other versions ignore them.
"""

ACCEPTED = "SGG_ACCEPTED_RUN"
"""Environment variable of `launchers.node`: folder of the run that its user has made or accepted.

As safe as an argument: the batch script or the local launcher of who has looked sets it, after all that the
config says there; the agent takes it out of its environment, so nothing that a run starts inherits it; and it
holds for that one folder. `hardware.environment` reaches the agent's processes and not the agent.
"""

SILENT = "SGG_SILENT_NODE"
"""Environment variable of `launchers.node`, set to anything: who started it says how the run ended."""
