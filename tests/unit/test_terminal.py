"""Text of strangers steers no terminal."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import time

import pytest

from sgg.runs.folder import PlainFormatter
from sgg.terminal import PlainStream, plain_output, without_controls


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain, ünïcödé, 日本, עברית, 👩‍🚀\n\tx", "plain, ünïcödé, 日本, עברית, 👩‍🚀\n\tx"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;without an end", "]0;without an end"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("safe\rresume", "saferesume"),
        ("a\x00\x08\x7f\x85b", "ab"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("a\u061cb\u2028sgg: done\u2029c", "absgg: donec"),
    ],
)
def test_what_steers_is_taken_out(text, left):
    assert without_controls(text) == left
    assert without_controls(left) == left


@pytest.mark.parametrize("piece", ["\x9d", "\x1b]", "\x1b[", "\x1b[0;", "\x1bP\x1b"])
def test_a_long_text_takes_no_longer_for_each_character(piece):
    """Twice the text takes about twice the time, not four times: seconds would be hours."""
    start = time.process_time()
    without_controls(piece * 300_000)
    assert (
        time.process_time() - start < 20
    )  # about one; 20,000 took six when the time was quadratic


def test_a_progress_bar_returns_to_the_beginning_of_its_line():
    inner = io.StringIO()
    stream = PlainStream(inner)
    assert stream.write("\r 50%\r") == 6
    stream.writelines(["a", "\x1bb"])
    assert inner.getvalue() == "\r 50%ab"
    assert not stream.isatty()


def test_output_is_plain_meanwhile_and_errors_too(capsys):
    out, err = sys.stdout, sys.stderr
    with plain_output(), plain_output():
        print("\x1b[31ma")
        print("\x1b[31mb", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == (out, err)
    assert capsys.readouterr() == ("a\n", "b\n")


def test_logs_are_plain():
    record = logging.LogRecord("sgg", logging.INFO, "", 0, "completion %s", ("\x1b[31mx",), None)
    assert PlainFormatter("%(message)s").format(record) == "completion x"


def test_an_error_that_names_a_strangers_file_is_plain(tmp_path):
    words = [sys.executable, "-m", "sgg", "status", str(tmp_path / "a\x1b[31mb")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr
    assert "ab" in done.stderr
