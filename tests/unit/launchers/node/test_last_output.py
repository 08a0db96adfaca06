"""The error in a log: exception lines and messages, whatever was printed behind them."""

import subprocess
import sys

import pytest

from launchers.node.last_output import error_in, last_line

BAR = " 33%|███▎      | 1/3 [00:01<00:02,  1.29s/it]"
RAISES = """Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise ValueError("loss is nan")
ValueError: loss is nan
"""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (RAISES, "ValueError: loss is nan"),
        (f"{RAISES}\r{BAR}\r{BAR}\n", "ValueError: loss is nan"),
        (f"{BAR}\r{BAR}{RAISES}", "ValueError: loss is nan"),
        (f"{BAR}\r{BAR}sgg: data.root=x: no.\n", "data.root=x: no."),
        (f"{RAISES}leaked semaphore objects: 1\n  warnings.warn('x')\n", "ValueError: loss is nan"),
        (f"{RAISES}\nDuring handling of it:\n\n{RAISES.replace('ValueError', 'torch.AcceleratorError')}",
         "torch.AcceleratorError: loss is nan"),
        ("".join(f"[rank1]: {line}\n" for line in RAISES.splitlines()), "ValueError: loss is nan"),
        ("step 1\nsgg: data.root=x: no such folder.\n  Take another.\n", "data.root=x: no such folder."),
        ("terminate called after throwing\n  what():  CUDA error: an illegal access\n",
         "what():  CUDA error: an illegal access"),
        ("slurmstepd-n1: error: execve(): python: No such file\nsrun: error: n1: task 0: Exited\n",
         "slurmstepd-n1: error: execve(): python: No such file"),
        (f"{RAISES}slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 12:00 DUE TO TIME LIMIT ***\n",
         "ValueError: loss is nan"),
        (f"loss 1.5\n{BAR}\n", ""),
    ],
)  # fmt: skip
def test_error(text, error):
    assert error_in(text) == error


def test_an_error_that_python_prints_is_found():
    """Causes and notes among it; the last exception is the one that ended the process."""
    code = "try: 1 / 0\nexcept Exception as error: raise RuntimeError('step 7\\nof 9') from error"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert error_in(said) == "RuntimeError: step 7"


def test_a_progress_bar_is_no_last_word():
    assert last_line(f"loss 1.5\n{BAR}\r{BAR}\n\n") == "loss 1.5"
    assert last_line(BAR) == ""
