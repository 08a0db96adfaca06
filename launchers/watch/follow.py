"""The loop of `sgg watch`: draw, wait, look again, until nothing goes on or the user has seen enough."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from launchers.watch.looks import Watcher
from sgg.terminal import PlainStream
from sgg.watch.screen import screen
from sgg.watch.snapshot import Snapshot

_WIDTH = 110
"""Characters of a line where there is no terminal."""
_MOVES = {b"\x1b[A": -1, b"\x1bOA": -1, b"k": -1, b"\x1b[B": 1, b"\x1bOB": 1, b"j": 1}
_OPEN, _CLOSE, _END = (b"\r", b"\n"), (b"a", b"\x1b", b"\x7f"), (b"q", b"\x04")

Keys = Callable[[float], bytes]
"""Waits for a key, at most so many seconds; empty for none."""


def watch(folder: Path, every_s: float, once: bool) -> None:
    """Show a folder until its runs have ended; once where nobody can watch.

    Args:
        every_s: seconds between two looks.
        once: print one look and end.

    Raises:
        SggError: nothing that sgg has started is there.

    """
    watcher = Watcher(folder)
    if once or not _is_terminal():
        print(as_text(watcher.look(), shutil.get_terminal_size((_WIDTH, 0)).columns), end="")
        return
    last = _follow(watcher, every_s)
    print(as_text(last, shutil.get_terminal_size().columns), end="")
    if not watcher.is_over:
        print("The watching has ended, the runs have not.")


def as_text(snapshot: Snapshot, width: int) -> str:
    """A look as plain text."""
    file = StringIO()
    console = Console(file=file, width=width, color_system=None, force_terminal=False)
    console.print(screen(snapshot, width))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _follow(watcher: Watcher, every_s: float) -> Snapshot:
    """Draw on the terminal until it is over; the last look. Ctrl-C ends the watching alone."""
    stdout = sys.stdout
    stream = stdout.unfiltered if isinstance(stdout, PlainStream) else stdout
    console = Console(file=stream, force_terminal=True)
    snapshot = watcher.look()
    with _keys() as wait, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while not watcher.is_over:
                live.update(_whole(snapshot, console, watcher.is_opened), refresh=True)
                if not _waited(watcher, wait, every_s):
                    break
                snapshot = watcher.look()
        except KeyboardInterrupt:
            pass
    return snapshot


def _waited(watcher: Watcher, wait: Keys, every_s: float) -> bool:
    """Wait for the next look, or a key that changes what is shown; False if the user has seen enough."""
    key = wait(every_s)
    if key in _END:
        return False
    if key in _MOVES:
        watcher.choose(_MOVES[key])
    elif key in _OPEN:
        watcher.is_opened = True
    elif key in _CLOSE:
        watcher.is_opened = False
    return True


def _whole(snapshot: Snapshot, console: Console, is_opened: bool) -> Group:
    """The screen with a line about the keys."""
    keys = "q or Ctrl-C ends the watching, not the run"
    if snapshot.chosen is not None:
        keys += " · a shows all points" if is_opened else " · ↑ ↓ choose, Enter follows a point"
    drawn = screen(snapshot, console.width, console.height)
    return Group(drawn, Text(f"{time.strftime('%H:%M:%S')} · {keys}", style="dim"))


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def _keys() -> Iterator[Keys]:
    """Keys as they are pressed, without an echo; none where the input is no terminal."""
    source: TextIO = sys.stdin
    if not source.isatty():
        yield _no_key
        return
    import termios
    import tty

    number = source.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield lambda timeout_s: _key(number, timeout_s)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _key(number: int, timeout_s: float) -> bytes:
    ready, _, _ = select.select([number], [], [], timeout_s)
    return os.read(number, 8) if ready else b""


def _no_key(timeout_s: float) -> bytes:
    time.sleep(timeout_s)
    return b""
