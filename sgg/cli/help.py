"""What `sgg --help` prints, the groups and their options among it."""

from __future__ import annotations

HELP = """sgg: scene graph generation with vision-language models

  sgg key=value …            run the stage that the config names (stage=sft|grpo|eval)
  sgg pipeline=demo          run several stages in order; the demo is what `make demo` runs
  sgg -m key=a,b …           sweep over values on this machine
  sgg … hydra/launcher=slurm submit the run, pipeline or sweep (with -m) to Slurm
  sgg … dry_run=true         print processes, GPUs and jobs, and start nothing
  sgg … --cfg job            print the composed config and stop

  sgg prepare data=…         read, check, count and cache a data set
  sgg score PREDICTIONS      score predictions without a model, or compare two runs (against=FILE)
  sgg predict MODEL IMAGE    one image in, drawn image and JSON out
  sgg draw GRAPH IMAGE       a graph's boxes, arrows and names on its image, as PNG or SVG
  sgg serve model.path=…     a vLLM server that generate=server may ask
  sgg report FOLDER…         one HTML file, or a table, about runs, pipelines or a sweep
  sgg dashboard RUN_DIR      the same as a workspace and a report at wandb
  sgg reward COMPLETIONS     what each completion of a file earns, term by term, and why
  sgg status DIR             how the runs of a sweep, a pipeline or a run folder stand
  sgg watch DIR              the same live: step, time left, curves, the last sample
  sgg resume DIR             resume a run, a pipeline or a sweep
  sgg cancel SWEEP_DIR       end what is queued or running

Groups and their options (group=option):
{groups}

Keys are set as group.key=value, TRL's own fields as stage.args.FIELD=value. Examples:
  sgg experiment=sft_7b hardware=a100
  sgg experiment=grpo_7b hardware=a100 model.path=SFT_RUN reward=hard_recall
  sgg experiment=eval_7b hardware=a100 model.path=GRPO_RUN

`sgg SUBCOMMAND --help` explains a subcommand, `sgg --hydra-help` Hydra's own flags, README.md the rest.
Tab completion: eval "$(sgg --shell-completion install=bash)"
"""


def help_screen() -> str:
    """What `sgg --help` prints: names in `conf/`, nothing composed, since Hydra's own help takes seconds."""
    from sgg.config.tree import groups, options_of

    lines = [f"  {group:<11} {', '.join(options_of(group))}" for group in groups()]
    return HELP.format(groups="\n".join(lines))
