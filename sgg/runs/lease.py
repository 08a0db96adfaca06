"""A lease on a folder: one process at a time may write into it, on any host that shares the file system.

    FOLDER/owners/000001.json, 000002.json, …   one file for each start; the highest number owns the folder

A start owns the folder once it has created the next number, which only one process can do (O_EXCL). No such
file is ever removed or replaced, so two takers cannot both win, and one that was slow finds its number taken.
A file says who the owner is and whether the lease is held or free; its modification time is the heartbeat.
Input: a folder. Output: the folder to oneself, or an error that names the owner. Compares no clocks of
different hosts: a heartbeat counts as alive when it is seen to change.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread

import msgspec

from sgg.errors import SggError
from sgg.files import make_output_folder, opened, refuse_link
from sgg.runs.links import refuse_links_out_of
from sgg.runs.owner import Owner

log = logging.getLogger("sgg")

OWNERS = "owners"
BEAT_S = 10.0
"""From one heartbeat to the next, seconds."""
PATIENCE_S = 60.0
"""How long the heartbeat of another host must stay unchanged until its owner counts as dead, seconds."""
_LOOK_S = 1.0
_LONGEST = 1 << 16
"""Characters of a lease file that are read."""
_STALL_S = 5.0
"""A look that takes longer says nothing of the owner: the file server has held up its heartbeat, too."""
_WRITTEN_WITHIN_S = 1.0
"""Longest time from a lease file's creation to its content."""
_HELD, _FREE = "held", "free"
"""Of equal length: one is written over the other, which needs no free space."""


@dataclass(frozen=True)
class Entry:
    """A lease file."""

    number: int
    owner: Owner | None
    """None where the content cannot be read."""
    is_free: bool
    beat: int
    """Modification time; what it means depends on the owner's clock."""


def newest(folder: Path) -> Entry | None:
    """The lease in force; None where nobody has ever owned the folder."""
    deadline = time.monotonic() + _WRITTEN_WITHIN_S
    while True:
        numbers = _numbers(folder)
        if not numbers:
            return None
        entry = _read(folder, max(numbers))
        if entry.owner is not None or time.monotonic() > deadline:
            return entry
        time.sleep(_LOOK_S / 10)


def holder(folder: Path) -> Owner | None:
    """Who holds the folder, as far as its files tell; that process may be dead."""
    entry = newest(folder)
    return None if entry is None or entry.is_free else entry.owner


_held: list[Lease] = []


def release_all() -> None:
    """Leave all folders of this process to others: a signal ends it."""
    for lease in list(_held):
        lease.release()


class Lease:
    """The lease on a folder, held inside a `with` block and renewed by a thread."""

    def __init__(
        self,
        folder: Path,
        attempt: str = "",
        pause: Callable[[float], None] = time.sleep,
        beat_s: float = BEAT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`pause` sleeps while the lease is waited for; it may raise to end the wait."""
        self._folder = folder
        self._me = Owner(folder=str(folder.resolve()), attempt=attempt)
        self._pause, self._beat_s, self._patience_s = pause, beat_s, patience_s
        self._number = 0
        self._pid = os.getpid()
        self._over = Event()
        self._thread = Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        """Own the folder.

        Raises:
            SggError: another process owns it, or it has too many files to look for links among; the message
                says which and what to do.
            OSError: it is a link, holds one that leads out of it, or has a folder that may not be read.

        """
        refuse_link(self._folder)
        refuse_links_out_of(self._folder)
        make_output_folder(self._folder / OWNERS)
        while not self._number:
            there = newest(self._folder)
            if there is None or there.is_free:
                self._create(0 if there is None else there.number, "")
            elif (why := self._why_ended(there)) is not None:
                self._create(there.number, f"taken over from {_named(there)}: {why}")
        if self._me.took_over:
            log.warning("%s: %s", self._folder, self._me.took_over)
        _held.append(self)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Leave the folder to others; again is harmless."""
        is_mine = self._number and os.getpid() == self._pid  # a fork of the owner is not the owner
        if not is_mine or self._over.is_set():
            return
        self._over.set()
        _held.remove(self)
        self._thread.join(timeout=_LOOK_S)
        with suppress(OSError), opened(self._path, "r+b") as file:
            file.seek(file.read().index(f'"{_HELD}"'.encode()) + 1)
            file.write(_FREE.encode())

    @property
    def _path(self) -> Path:
        return _path(self._folder, self._number)

    def _why_ended(self, there: Entry) -> str | None:
        """Why the owner is no owner any more; None where the lease has changed meanwhile.

        Raises:
            SggError: the owner lives.

        """
        owner = there.owner
        if owner is not None and self._me.is_restart_of(owner):
            return "Slurm has started that job again"
        if owner is not None and self._me.shares_processes_with(owner):
            if owner.runs():
                raise self._in_use(there)
            return "that process has ended"
        log.warning(
            "%s belongs to %s. Whether that still runs cannot be seen from here: looking for up to %g s "
            "whether it renews its lease.",
            self._folder,
            _named(there),
            self._patience_s,
        )
        silent_since = looked = time.monotonic()
        while looked - silent_since < self._patience_s:
            self._pause(_LOOK_S)
            now = newest(self._folder)
            if now is None or now.number != there.number or now.is_free:
                return None
            if now.beat != there.beat:
                raise self._in_use(now)
            before, looked = looked, time.monotonic()
            if looked - before > _STALL_S:
                log.warning("%s did not answer for a while: looking anew.", self._folder)
                silent_since = looked
        return f"it has not renewed its lease for {self._patience_s:g} s"

    def _create(self, last: int, took_over: str) -> None:
        """Try to become the owner after the `last` one."""
        path = _path(self._folder, last + 1)
        me = replace(self._me, took_over=took_over)
        text = json.dumps({"state": _HELD, **asdict(me)}, indent=1) + "\n"
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            return
        try:
            with file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:  # a full disk
            path.unlink(missing_ok=True)
            raise
        self._me, self._number = me, last + 1

    def _in_use(self, there: Entry) -> SggError:
        end = there.owner.way_to_end() if there.owner else "look for what writes there"
        return SggError(
            f"{self._folder} is in use by {_named(there)}. Wait until it has ended, or end it with: {end}\n"
            "To start beside it, take another folder: paths.run_dir=DIR, of a sweep paths.sweep_dir=DIR."
        )

    def _renew(self) -> None:
        """The heartbeat, and between two of them whether the folder is still ours.

        Looks at the clock of the day, which goes on while a machine sleeps.
        """
        last = time.time()
        while not self._over.wait(_LOOK_S):
            with suppress(OSError):  # a server that does not answer now may do so next time
                if max(_numbers(self._folder), default=0) != self._number:
                    self._end_process()
                if abs(time.time() - last) >= self._beat_s:
                    os.utime(self._path)
                    last = time.time()

    def _end_process(self) -> None:
        """Another start owns the folder: what this one would still write would spoil the other's files."""
        with suppress(OSError):
            there = newest(self._folder)
            by = "its lease was removed" if there is None else f"it belongs to {_named(there)} now"
            print(
                f"\nsgg: {self._folder}: {by}. This process had not renewed its lease in time. It ends "
                f"here and writes nothing more. Look at the run with: sgg status {self._folder}",
                file=sys.stderr,
                flush=True,
            )
        os._exit(1)


def wait_for_owner(
    folder: Path,
    attempt: str,
    pause: Callable[[float], None] = time.sleep,
    limit_s: float = 600.0,
) -> None:
    """Until the start of this name owns the folder, or has owned it last.

    `pause` sleeps meanwhile; it may raise to end the wait.

    Raises:
        SggError: it does not within the limit.

    """
    deadline = time.monotonic() + limit_s
    while (
        (there := newest(folder)) is None or there.owner is None or there.owner.attempt != attempt
    ):
        if time.monotonic() > deadline:
            raise SggError(
                f"{folder}: node 0 of this start has not got the folder within {limit_s:g} s. "
                "Look into what node 0 printed."
            )
        pause(_LOOK_S)


def _named(there: Entry) -> str:
    if there.owner is not None:
        return str(there.owner)
    return f"a process that cannot be told from {OWNERS}/{there.number:06}.json"


def _path(folder: Path, number: int) -> Path:
    return folder / OWNERS / f"{number:06}.json"


def _numbers(folder: Path) -> list[int]:
    """Numbers of all lease files. Opening a folder has NFS look at the server, so they are up to date."""
    try:
        names = os.listdir(folder / OWNERS)  # noqa: PTH208  # names are all that is wanted
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(name[:6]) for name in names if re.fullmatch(r"\d{6}\.json", name)]


def _read(folder: Path, number: int) -> Entry:
    """A lease file. Opening it has NFS look at the server, so the heartbeat is up to date."""
    with opened(_path(folder, number)) as file:
        text, beat = file.read(_LONGEST), os.fstat(file.fileno()).st_mtime_ns
    try:
        values = json.loads(text)
        state = values.pop("state")
        return Entry(number, msgspec.convert(values, Owner), state == _FREE, beat)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Entry(number, None, False, beat)
