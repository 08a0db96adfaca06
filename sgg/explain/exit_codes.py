"""How a command ends: an error becomes one message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import TextIO

from sgg.terminal import plain_output

TRACEBACK = "SGG_TRACEBACK"
"""Set to 1 to see tracebacks of user errors, too."""

CLOSED_PIPE = 128 + 13
"""Exit code where nobody reads on, such as behind `| head`: as of a process that SIGPIPE has ended."""


def run_and_report(function: Callable[[], object], prints: bool = True) -> int:
    """Run, print nothing that steers a terminal, and turn what went wrong into one message and an exit code.

    A user's mistake is one screen of text. A bug keeps its traceback, in the run's log if there is
    one. Where the reader of what is printed has gone, nothing is said.

    Args:
        prints: print the message; False where who started this process does.

    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    with plain_output():
        return _run(function, prints)


def _run(function: Callable[[], object], prints: bool) -> int:
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
            return _report(error, prints)
        except BrokenPipeError as closed:
            return _closed_pipe(closed)


def _report(error: Exception, prints: bool) -> int:
    """Log and print an error; its exit code."""
    import logging
    import traceback

    from sgg.explain.exceptions import explain

    message = explain(error)
    if logging.getLogger().handlers:  # a run has begun: its log keeps the traceback
        logging.getLogger("run").error("%s", message or "unexpected error", exc_info=error)
    if message is None or os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)
    if prints and message is not None:
        print(f"sgg: {message}", file=sys.stderr)
    return 1 if message is None else exit_code(error)


MISTAKE = 2
"""Exit code of what a user has to mend: another start would end in the same way."""
_OF_CONFIGS = ("hydra.", "omegaconf.", "yaml.")


def exit_code(error: Exception) -> int:
    """The exit code of a process that ends by an error."""
    from sgg.errors import SggError

    is_link = isinstance(error, OSError) and error.errno == errno.ELOOP
    is_mistake = isinstance(error, SggError) or type(error).__module__.startswith(_OF_CONFIGS)
    is_mistake = is_mistake or is_link
    return int(getattr(error, "exit_code", MISTAKE if is_mistake else 1))


def _closed_pipe(error: BrokenPipeError) -> int:
    """Silence, if it is what we print to that is closed; any other broken pipe is reported."""
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
