"""Folders with one file spoilt, and a process that reads one within limits.

The process may not run a program, unpickle, write outside of some folders, or look at anything for ever.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgg.config.tree import PACKAGE
from sgg.explain.exit_codes import run_and_report
from sgg.main import _tool

CPU_S, WALL_S = 10, 120
MEMORY = 1 << 30
HUGE = 1100 << 20
"""A file that the process cannot hold, bytes."""
OUTSIDE = "outside.txt"
"""Lies beside a spoilt folder, which may have a link to it."""
NOT_OURS = "not to be changed\n"
OWN_GIT = ["git", "-c", f"safe.directory={PACKAGE.resolve().parent}"]
"""How sgg asks git about its own code, not about the folder, where a config is unreadable."""

ODD = [
    *(None, True, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../../outside.txt"),
    *("\x1b[2J", "\ud800", "/etc/passwd", "a\0b", "y" * 5000, [], {}, [[]], {"a": {}}, [1, "a"]),
]


@dataclass
class Spoiler:
    """Spoils one file of a folder in one way, both drawn by a seed."""

    chance: random.Random
    root: Path
    names: Sequence[str]
    """Files that may be spoilt, relative to the folder."""

    def spoil(self):
        """The file that was spoilt and how."""
        name = self.chance.choice(self.names)
        path = self.root / name
        ways = [self.flipped, self.cut, self.empty, self.huge, self.pipe, self.link, self.endless]
        ways += [self.folder, self.deep]
        if path.suffix in (".json", ".jsonl"):
            ways += [self.other_value] * 8 + [self.less] * 3
        way = self.chance.choice(ways)
        way(path)
        return name, way.__name__

    def flipped(self, path):
        content = bytearray(path.read_bytes())
        for _ in range(self.chance.choice([1, 8, 64])):
            content[self.chance.randrange(len(content))] = self.chance.randrange(256)
        path.write_bytes(content)

    def cut(self, path):
        path.write_bytes(path.read_bytes()[: self.chance.randrange(path.stat().st_size)])

    def empty(self, path):
        path.write_bytes(b"")

    def huge(self, path):
        os.truncate(path, HUGE)

    def pipe(self, path):
        path.unlink()
        os.mkfifo(path)

    def link(self, path):
        path.unlink()
        path.symlink_to(self.root.parent / OUTSIDE)

    def endless(self, path):
        path.unlink()
        path.symlink_to("/dev/zero")

    def folder(self, path):
        path.unlink()
        path.mkdir()

    def deep(self, path):
        path.write_text('{"a":' * 100_000 if self.chance.random() < 0.5 else "[" * 100_000)

    def other_value(self, path):
        self.changed(path, lambda owner, key: owner.__setitem__(key, self.odd()))

    def less(self, path):
        self.changed(path, lambda owner, key: owner.__delitem__(key))

    def odd(self):
        return self.chance.choice(ODD)

    def changed(self, path, change):
        """One value of one row, anywhere in it."""
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        place = self.chance.randrange(len(lines))
        row = json.loads(lines[place])
        change(*self.chance.choice(list(places({"": row}, 0))[1:]))
        lines[place] = json.dumps(row)
        path.write_text("\n".join(lines) + "\n")


def places(value, depth):
    """Every (owner, key) in plain values."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)) and depth < 6:
            yield from places(value[key], depth + 1)


def watched(allowed):
    """An audit hook that ends the process where a tool does what no reading tool may."""
    runs = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "pickle.find_class")
    changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink")

    def hook(event, args):
        target = None
        is_own_git = event == "subprocess.Popen" and args[1][:3] == OWN_GIT
        is_own_child = event == "pickle.find_class" and _comes_through_a_pipe()
        if event in runs and not is_own_git and not is_own_child:
            refuse(event, args[:2])
        if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
            writes = args[2] is not None and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            target = args[0] if writes else None
        elif event in changes:
            target = args[0]
        if isinstance(target, (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(target))
            if path != os.devnull and not any(
                path.startswith(f"{a}/") or path == a for a in allowed
            ):
                refuse(event, path)

    def refuse(event, what):
        os.write(2, f"FORBIDDEN {event} {what}\n".encode())
        os._exit(99)

    return hook


def _comes_through_a_pipe():
    """Whether what is unpickled was sent by a process that this one forked, and is in no file."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals["__name__"] in ("multiprocessing.connection", "multiprocessing.queues"):
            return True
        frame = frame.f_back
    return False


def read_by(tool, root, allowed):
    """How a tool ended in a process of its own, within limits, and what it printed.

    Args:
        tool: the words behind `sgg`.
        root: the folder that they are typed in.
        allowed: folders that may be written to.

    """
    said = root.with_name("said.txt")
    child = os.fork()
    if child == 0:
        stream = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        weights = [path for path in root.rglob("*.safetensors") if path.is_file()]
        # which are mapped: that takes addresses and no memory
        most = now + MEMORY + sum(path.stat().st_size for path in weights)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        signal.alarm(WALL_S)
        os.chdir(root)
        if "torch" in sys.modules:  # a fork has none of the threads that OpenMP would wait for
            sys.modules["torch"].set_num_threads(1)
        sys.addaudithook(watched([str(folder) for folder in allowed]))
        verb, *words = tool.split()
        code = 98
        try:
            code = run_and_report(lambda: _tool(verb, words))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")


def spoilt_file(root, chance, names):
    """The file that was spoilt and how."""
    return Spoiler(chance, root, sorted(names)).spoil()


def troubles(base, seed, tools, allowed, spoil=spoilt_file):
    """What went wrong with a copy of `base` in which one file is spoilt: empty if nothing did.

    Args:
        tools: for each file that may be spoilt the tools that read it.
        allowed: folders that may be written to, relative to that of the copy.
        spoil: spoils the copy.

    """
    root, outside = base.with_name("spoilt"), base.with_name(OUTSIDE)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    outside.write_text(NOT_OURS)
    name, way = spoil(root, random.Random(seed), tools)
    found = []
    for tool in tools[name]:
        code, said = read_by(tool, root, [(root / folder).resolve() for folder in allowed])
        if code not in (0, 2) or "Traceback" in said or "FORBIDDEN" in said:
            found.append(f"seed {seed}, {name} {way}: sgg {tool}: {code}\n{said[-1500:]}")
    if outside.read_text() != NOT_OURS:
        found.append(f"seed {seed}, {name} {way}: wrote outside")
    return found
