"""The command line around Hydra: verbs, errors in words, open dictionaries without a plus sign."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable

from sgg.errors import SggError, explain

VERBS = {
    "prepare": "sgg.tools:prepare",
    "predict": "sgg.tools:predict",
    "report": "sgg.tools:report",
}
"""Tools by their first word: `module:function`, imported when called."""

TRACEBACK = "SGG_TRACEBACK"
"""Set to 1 to see tracebacks of user errors, too."""

OPEN_DICTS = re.compile(r"^(stage\.args|reward\.terms|deepspeed)\.[^=]+=")
"""Keys below these are checked by `validate`, not by Hydra's struct, so they take new entries."""


def prepare_argv(argv: list[str]) -> list[str]:
    """Hydra wants `++` for a key that no YAML states; below an open dictionary that is every key."""
    return [f"++{word}" if OPEN_DICTS.match(word) else word for word in argv]


def guarded(function: Callable[[], object]) -> int:
    """Run, and turn what went wrong into one message and an exit code.

    A user's mistake is one screen of words. A bug keeps its traceback, in the run's log if there is
    one.
    """
    asked = os.environ.get(TRACEBACK) == "1" or os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    try:
        function()
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        message = explain(error)
        if message is None or asked:
            logging.getLogger("sgg.bug").error("unexpected error", exc_info=True)
            traceback.print_exc()
        if message is not None:
            logging.getLogger("sgg.stop").debug("%s", message)
            print(f"sgg: {message}", file=sys.stderr)
            return getattr(error, "exit_code", 2 if isinstance(error, SggError) else 1)
        return 1
