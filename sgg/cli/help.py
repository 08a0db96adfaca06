"""The command line around Hydra: verbs, errors in words, open dictionaries without a plus sign."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TextIO

VERBS = {
    "prepare": "sgg.cli.prepare",
    "score": "sgg.cli.score",
    "predict": "sgg.cli.predict",
    "report": "sgg.cli.report",
    "reward": "sgg.cli.reward",
    "status": "sgg.cli.status",
    "sweep": "sgg.cli.sweep",
    "cancel": "sgg.cli.cancel",
    "serve": "sgg.cli.serve",
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

CLOSED_PIPE = 128 + 13
"""Exit code where nobody reads on, such as behind `| head`: as of a process that SIGPIPE has ended."""

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
    from sgg.config.tree import groups, options_of

    lines = [f"  {group:<11} {', '.join(options_of(group))}" for group in groups()]
    return HELP.format(groups="\n".join(lines))


def guarded(function: Callable[[], object], tell: bool = True) -> int:
    """Run, and turn what went wrong into one message and an exit code.

    A user's mistake is one screen of words. A bug keeps its traceback, in the run's log if there is
    one. Where the reader of what is printed has gone, nothing is said.

    Args:
        tell: print the message; False where who started this process does.

    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    try:
        try:
            function()
        except SystemExit:  # of a parser's --help, which passes over what it could not print
            sys.stdout.flush()
            if _is_closed(sys.stdout):
                raise BrokenPipeError from None
            raise
        sys.stdout.flush()  # here, where a closed pipe is caught
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError as error:
        return _closed_pipe(error)
    except Exception as error:
        try:
            return _told(error, tell)
        except BrokenPipeError as closed:
            return _closed_pipe(closed)


def _told(error: Exception, tell: bool) -> int:
    """Log and print an error; its exit code."""
    import logging
    import traceback

    from sgg.explain.exceptions import explain

    message = explain(error)
    if logging.getLogger().handlers:  # a run has begun: its log keeps the traceback
        logging.getLogger("run").error("%s", message or "unexpected error", exc_info=error)
    if message is None or os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)
    if tell and message is not None:
        print(f"sgg: {message}", file=sys.stderr)
    return 1 if message is None else exit_code(error)


MISTAKE = 2
"""Exit code of what a user has to mend: another start would end in the same way."""
_OF_CONFIGS = ("hydra.", "omegaconf.", "yaml.")


def exit_code(error: Exception) -> int:
    """The exit code of a process that ends by an error."""
    from sgg.errors import SggError

    is_mistake = isinstance(error, SggError) or type(error).__module__.startswith(_OF_CONFIGS)
    return int(getattr(error, "exit_code", MISTAKE if is_mistake else 1))


def _closed_pipe(error: BrokenPipeError) -> int:
    """Silence, if it is what we print to that is closed; any other pipe is told."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
    for stream in closed:  # or Python complains when it flushes at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if closed:
        return CLOSED_PIPE
    import logging

    if logging.getLogger().handlers:
        logging.getLogger("run").error("a pipe was closed", exc_info=error)
    print(f"sgg: {error}: what this process wrote to has ended.", file=sys.stderr)
    return 1


def _is_closed(stream: TextIO) -> bool:
    """Whether nobody reads what is written there."""
    import select

    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file behind it
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))
