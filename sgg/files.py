"""Small files of runs and sweeps: complete or absent for every reader, even after a crash of the machine.

Nothing is written or read through a symbolic link at the end of a path, since folders are passed around and a
link in one may point anywhere. A folder above may be a link. What is read is a regular file of bounded length
and, as `read_record`, of a stated form.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from sgg.errors import SggError

T = TypeVar("T")

RECORD_BYTES = 16 << 20
"""Longest JSON file that is read whole."""
LINE_BYTES = 16 << 20
"""Longest line of JSON lines."""
LINES_BYTES = 1 << 30
"""Longest file of JSON lines that is read whole."""
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Why a disk makes none, such as exFAT or one mounted by SMB."""


def opened(path: Path, mode: str = "r", newline: str | None = None) -> IO[Any]:
    """Open a file as `open` does, text as UTF-8.

    Raises:
        SggError: `path` is no regular file, such as a named pipe, which is not waited for.
        OSError: as of `open`, and ELOOP where `path` is a symbolic link.

    """
    encoding = None if "b" in mode else "utf-8"
    return open(path, mode, encoding=encoding, newline=newline, opener=_open_no_link)


def make_output_folder(folder: Path) -> Path:
    """Make a folder to write to, and those above it; it may be there.

    Raises:
        OSError: it cannot be made; ELOOP where it is a symbolic link.

    """
    refuse_link(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_link(path: Path) -> None:
    """Raise OSError (ELOOP) if this is a symbolic link, whether to a file, a folder or nothing."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, f"a symbolic link to {path.readlink()}", str(path))


@contextmanager
def whole_file(path: Path, mode: str = "w", newline: str | None = None) -> Iterator[IO[Any]]:
    """A file to write, which gets its name once the block has ended and it is on the disk.

    Several processes and hosts may write the same one: each writes a file of its own, whose name nobody can
    foresee. What was there is replaced, a link itself and not what it points to. If the block ends by an
    error, what was there stays.

    Args:
        mode: `w` for text as UTF-8, `wb` for bytes.

    """
    with _partial(path, mode, newline) as (partial, file):
        yield file
        _to_disk(file)
        partial.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, as `whole_file` does."""
    with whole_file(path) as file:
        file.write(text)


def write_first(path: Path, content: bytes, permissions: int = 0o666) -> bool:
    """Write a file unless there is one, which stands; whether this call has written it.

    On a disk without hard links a reader may see it before it is whole.

    Args:
        permissions: what the umask is taken from.

    """
    with _partial(path, "wb", None, permissions) as (partial, file):
        file.write(content)
        _to_disk(file)
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            return _write_new(path, content, permissions)
    return True


def as_json(content: Any) -> str:
    """How small files hold JSON."""
    return json.dumps(content, indent=1) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, as `whole_file` does."""
    write_whole(path, as_json(content))


def read_bounded(path: Path, limit: int = RECORD_BYTES) -> bytes:
    """What a file holds, of at most `limit` bytes.

    Raises:
        SggError: it is longer, or no regular file.
        OSError: as of `opened`.

    """
    with opened(path, "rb") as file:
        content: bytes = file.read(limit + 1)
    if len(content) > limit:
        raise SggError(f"{path}: longer than {limit:,} bytes, so sgg did not write it.")
    return content


def read_end(path: Path, limit: int) -> str:
    """The last `limit` bytes of a text file, as text.

    Raises:
        SggError: it is no regular file.
        OSError: as of `opened`.

    """
    with opened(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
        content: bytes = file.read(limit)
    return content.decode(errors="replace")


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where there is none, or one that is no JSON.

    Files of earlier versions may be empty after the machine went down.

    Raises:
        SggError: it is too long, or no regular file.
        OSError: it may not be read, or is a symbolic link.

    """
    try:
        content = read_bounded(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return parse_json(content)
    except ValueError:
        return None


def parse_json(content: bytes) -> Any:
    """What JSON in UTF-8 says.

    Raises:
        ValueError: it is no JSON, too deep, or holds half a surrogate pair, which is no text, or a number
            that is not finite, which JSON cannot pass on.

    """
    try:
        parsed = json.loads(content, parse_float=_finite, parse_constant=_finite)
        if b"\\ud" in content.lower():
            json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("lists or objects in one another, too deep to be read") from error
    return parsed


def _finite(word: str) -> float:
    """The number; json takes NaN and Infinity besides, and makes infinity of 1e999."""
    number = float(word)
    if not isfinite(number):
        raise ValueError(f"{word}: not finite")
    return number


def read_record(path: Path, kind: type[T]) -> T | None:
    """What a JSON file holds, as `read_json` reads it, of the form that the writer gave it.

    Args:
        kind: the form, as msgspec takes it.

    Raises:
        SggError: it has another form, is too long, or no regular file.
        OSError: it may not be read, or is a symbolic link.

    """
    content = read_json(path)
    return None if content is None else converted(content, kind, str(path))


def converted(content: Any, kind: type[T], place: str) -> T:
    """Plain values as what they stand for.

    Raises:
        SggError: they have another form; the message begins with `place`.

    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise SggError(
            f"{place}: not of the form that sgg writes ({error}). "
            "An earlier version made it, or it is damaged."
        ) from error


@contextmanager
def put_back(files: Iterable[Path], after: type[Exception]) -> Iterator[None]:
    """If the block ends by such an error, these files are as they were before it, or gone again."""
    before = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in files}
    try:
        yield
    except after:
        for path, text in before.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, text)
        raise


@contextmanager
def _partial(
    path: Path, mode: str, newline: str | None, permissions: int = 0o666
) -> Iterator[tuple[Path, IO[Any]]]:
    """A new file beside `path` and its name, which is gone when the block ends."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")

    def make(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_EXCL | os.O_NOFOLLOW, permissions)

    encoding = None if "b" in mode else "utf-8"
    try:
        with open(partial, mode, encoding=encoding, newline=newline, opener=make) as file:
            yield partial, file
    finally:
        partial.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes, permissions: int) -> bool:
    """Write a file unless there is one, on a disk without hard links; whether this call has written it."""

    def make(name: str, flags: int) -> int:
        return os.open(name, flags, permissions)

    try:
        with open(path, "xb", opener=make) as file:
            file.write(content)
            _to_disk(file)
    except FileExistsError:
        return False
    return True


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _open_no_link(name: str, flags: int) -> int:
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SggError(f"{name}: no regular file.")
    return descriptor
