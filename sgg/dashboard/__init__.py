"""Dashboards at wandb, written as code: a workspace and a report about runs, pipelines and sweeps."""
