"""The command line around Hydra: verbs, errors in words, open dictionaries without a plus sign."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable

VERBS = {
    "prepare": "sgg.verbs.prepare",
    "score": "sgg.verbs.score",
    "predict": "sgg.verbs.predict",
    "report": "sgg.verbs.report",
    "reward": "sgg.verbs.reward",
    "status": "sgg.verbs.status",
    "sweep": "sgg.verbs.sweep",
    "cancel": "sgg.verbs.cancel",
    "serve": "sgg.verbs.serve",
}
"""Tools by their first word: the module whose `main(argv)` is called, imported then."""

HELP = """sgg: scene graph generation with vision-language models

  sgg key=value …            run the stage that the config names (stage=sft|grpo|eval)
  sgg pipeline=demo          run several stages in order; the demo is what `make demo` runs
  sgg -m key=a,b …           sweep over values on this machine
  sgg … hydra/launcher=slurm submit the run, pipeline or sweep (with -m) to Slurm
  sgg … dry_run=true         print processes, GPUs and jobs, and start nothing
  sgg resume=RUN_DIR         go on with a run from its newest whole checkpoint
  sgg … --cfg job            print the composed config and stop

  sgg prepare data=…         read, check, count and cache a data set
  sgg score predictions=FILE score answers without a model, or compare two runs (against=FILE)
  sgg predict MODEL IMAGE    one picture in, drawn picture and JSON out
  sgg serve model.path=…     a vLLM server that generate=server may ask
  sgg report RUN_DIR         write one HTML file about a run or a pipeline
  sgg reward completions=…   what each completion of a file earns, term by term, and why
  sgg status DIR             how the runs of a sweep, a pipeline or a run folder stand
  sgg sweep resume=SWEEP_DIR start again what did not finish
  sgg cancel SWEEP_DIR       end what is queued or running

Groups and their options (group=option):
{groups}

Keys are set as group.key=value, TRL's own fields as stage.args.FIELD=value. Examples:
  sgg experiment=sft_7b hardware=a100
  sgg experiment=grpo_7b hardware=a100 model.path=runs/SFT_RUN reward=hard_recall
  sgg experiment=eval_7b hardware=a100 model.path=runs/GRPO_RUN

`sgg VERB --help` explains a tool, `sgg --hydra-help` Hydra's own flags, README.md the rest.
Tab completion: eval "$(sgg --shell-completion install=bash)"
"""

TRACEBACK = "SGG_TRACEBACK"
"""Set to 1 to see tracebacks of user errors, too."""

_TRACEBACK_ASKED = "1" in (os.environ.get(TRACEBACK), os.environ.get("HYDRA_FULL_ERROR"))

OPEN_DICTS = re.compile(
    r"^((stage\.args|reward\.terms|hardware\.environment|hardware\.slurm\.sbatch)(\.[^=]+)?"
    r"|(deepspeed|fsdp)\.[^=]+)="  # which by themselves are groups
)
"""Keys below these are checked by `validate`, not by Hydra's struct, so they take new entries."""


UNCHOSEN = re.compile(r"^(deepspeed|fsdp|structure|pipeline|experiment|debug)=null$")
"""A group that may go without an option, set to none; Hydra takes null in YAML only."""


_PLAIN = re.compile(r"[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]*")
"""Paths that Hydra's grammar takes as they are."""


def prepare_argv(argv: list[str]) -> list[str]:
    """The words as Hydra wants them.

    `++` before a key that no YAML states, which is every key below an open dictionary; `~deepspeed` for
    `deepspeed=null`.
    """
    return [_prepared(word) for word in argv]


def _prepared(word: str) -> str:
    if OPEN_DICTS.match(word):
        return f"++{word}"
    return UNCHOSEN.sub(r"~\1", word)


def assignment(key: str, value: str) -> str:
    """`key=value` as one word from which Hydra reads this very text; a shell's quotes are not in it."""
    if _PLAIN.fullmatch(value):
        return f"{key}={value}"
    return f"{key}={quoted(unresolved(value))}"


def unresolved(text: str) -> str:
    """A text in which `${` is escaped, as it would be looked up in the config."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def quoted(text: str) -> str:
    """A text in the quotes of Hydra's grammar, where backslashes count only before a quote."""
    mark = "'" if '"' in text and "'" not in text else '"'
    escaped = re.sub(rf"(\\*){mark}", rf"\1\1\\{mark}", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"{mark}{escaped}{mark}"


def help_screen() -> str:
    """What `sgg --help` prints. Reads folder names only: Hydra's own help takes seconds here."""
    from sgg.places import groups, options_of

    lines = [f"  {group:<11} {', '.join(options_of(group))}" for group in groups()]
    return HELP.format(groups="\n".join(lines))


def guarded(function: Callable[[], object]) -> int:
    """Run, and turn what went wrong into one message and an exit code.

    A user's mistake is one screen of words. A bug keeps its traceback, in the run's log if there is
    one.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    try:
        function()
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        import logging
        import traceback

        from sgg.errors import SggError
        from sgg.explain import explain

        message = explain(error)
        if logging.getLogger().handlers:  # a run has begun: its log keeps the traceback
            logging.getLogger("run").error("%s", message or "unexpected error", exc_info=True)
        if message is None or _TRACEBACK_ASKED:
            traceback.print_exc()
        if message is not None:
            print(f"sgg: {message}", file=sys.stderr)
            return getattr(error, "exit_code", 2 if isinstance(error, SggError) else 1)
        return 1
