"""Helpers of the readers: files by pattern, JSON with messages, digests of content."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from sgg.data.fields import WrongForm
from sgg.data.sources import base as reader
from sgg.data.sources.base import at, existing_file, file_identity, find_file, id_at, load_json
from sgg.errors import SggError


def write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'{"a": "\xc3\xa9"}'),
        ("a.json", b'\xef\xbb\xbf{"a": "\xc3\xa9"}'),
        ("a.json.gz", gzip.compress(b'{"a": "\xc3\xa9"}', mtime=0)),
    ],
)
def test_json_files(tmp_path, name, data):
    assert load_json(write(tmp_path / name, data), "k") == {"a": "é"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"{"),
        ("a.json", b""),
        ("a.json", b"\xff"),
        ("a.json", b"[" * 100_000),
        ("a.json.gz", b"{}"),
        ("a.json.gz", gzip.compress(json.dumps(list(range(999))).encode(), mtime=0)[:200]),
        ("a.json.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 50),
    ],
)
def test_json_files_that_are_none(tmp_path, name, data):
    with pytest.raises(SggError, match=rf"^data\.root: .*{name} is no valid JSON file \("):
        load_json(write(tmp_path / name, data), "data.root")


def test_missing_files_name_their_neighbours(tmp_path):
    with pytest.raises(SggError, match=r"^k: no file .*a\.json\. The folder has: nothing\.$"):
        existing_file(tmp_path / "a.json", "k")
    with pytest.raises(SggError, match=r"^k: no file .*no/a\.json\.$"):
        existing_file(tmp_path / "no" / "a.json", "k")
    with pytest.raises(SggError, match=r"found none of \*\.h5, \*\.json\. The folder has: nothing"):
        find_file(tmp_path, ["*.h5", "*.json"], "k")
    write(tmp_path / "b.json", b"")
    assert find_file(tmp_path, ["*.h5", "*.json"], "k").name == "b.json"


def test_identity_is_name_and_whole_content(tmp_path):
    data = bytes(range(256)) * 10_000
    first = file_identity([write(tmp_path / "one" / "a", data)])
    assert file_identity([write(tmp_path / "two" / "a", data)]) == first
    changed = data[:1_500_000] + b"x" + data[1_500_001:]
    assert file_identity([write(tmp_path / "two" / "a", changed)]) != first
    assert file_identity([write(tmp_path / "two" / "b", data)]) != first
    assert file_identity([write(tmp_path / "two" / "a", data)] * 2) != first


@pytest.mark.parametrize("size", [0, 100, 1 << 20, 3 << 20, 5 << 20])
def test_large_tables_are_known_by_head_and_tail(tmp_path, monkeypatch, size):
    monkeypatch.setattr(reader, "_WHOLE_TABLE_BYTES", 3 << 20)
    file = write(tmp_path / "a.parquet", b"a" * size)
    whole = file_identity([file], tables=True)
    seen = []
    for place in range(0, size, 1 << 18):
        write(file, b"a" * place + b"x" + b"a" * (size - place - 1))
        seen.append(file_identity([file], tables=True) != whole)
    # four places a megabyte; of 5 MB, the middle three are not looked at
    assert seen == (
        [True] * 4 + [False] * 12 + [True] * 4 if size == 5 << 20 else [True] * len(seen)
    )
    write(file, b"a" * (size + 1))
    assert file_identity([file], tables=True) != whole


def test_ids():
    assert at(["a", "b"], 1, "no_class") == ("b", "")
    assert at(["a", 7], 1, "no_class") == ("7", "no_class")
    for wrong in (-1, 2):
        with pytest.raises(WrongForm):
            at(["a", "b"], wrong, "no_class")
        assert id_at(["a", "b"], wrong) not in ("a", "b")
    assert id_at(["a", "b"], 0) == "a"


def test_what_has_no_end_is_no_file_of_a_data_set(tmp_path):
    """A device is not read to its end, and a pipe's writer is not waited for."""
    (tmp_path / "endless.h5").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.h5")
    for name in ("endless.h5", "pipe.h5"):
        with pytest.raises(SggError, match="no regular file"):
            file_identity([tmp_path / name])
