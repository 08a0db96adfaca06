"""Gzipped files: as their content, of bounded length."""

import gzip
import os
from collections import deque

import pytest

from sgg.data.packed import UNPACKED_BYTES, is_packed, lines_of, open_unpacked
from sgg.data.sources.base import load_json
from sgg.errors import SggError
from sgg.evaluation.predictions import read_predictions
from sgg.files import LINE_BYTES


@pytest.fixture
def bomb(tmp_path):
    """A megabyte that unpacks to more than is read: one member of zeros, again and again."""
    member = gzip.compress(bytes(64 << 20), compresslevel=1)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(member * (UNPACKED_BYTES // (64 << 20) + 1))
    return path


def test_a_file_is_its_content_packed_or_not(tmp_path):
    content = b"one\ntwo\n" * 50_000
    for name, written in (("a", content), ("b.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        assert is_packed(tmp_path / name) is (name == "b.gz")
        with open_unpacked(tmp_path / name) as file:
            assert file.read() == content
        with open_unpacked(tmp_path / name) as file:
            assert b"".join(lines_of(file, tmp_path / name)) == content


def test_a_bomb_is_refused_with_the_way_out(bomb):
    with open_unpacked(bomb) as file, pytest.raises(SggError, match=r"bomb.*1 GiB.*gunzip"):
        deque(iter(lambda: file.read(1 << 20), b""), maxlen=0)


def test_predictions_of_zeros_end_at_their_first_line(bomb):
    with pytest.raises(SggError, match=r"bomb\.jsonl\.gz, line 1 is longer than 16 MiB"):
        read_predictions(bomb)
    sparse = bomb.with_name("sparse.jsonl")
    sparse.touch()
    os.truncate(sparse, 2 << 30)
    with pytest.raises(SggError, match=r"sparse\.jsonl, line 1 is longer"):
        read_predictions(sparse)


def test_a_line_of_the_greatest_length_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * (LINE_BYTES - 1) + b"\n")
    with open_unpacked(path) as file:
        assert [len(line) for line in lines_of(file, path)] == [LINE_BYTES]


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("a.json", "zero.json"):
        with pytest.raises(SggError, match="no regular file"):
            read_predictions(tmp_path)
        with pytest.raises(SggError, match="no regular file"):
            open_unpacked(tmp_path / name)
    (tmp_path / "a.json").unlink()
    (tmp_path / "b.json").symlink_to("a.json")
    (tmp_path / "a.json").write_text("[1]")
    assert load_json(tmp_path / "b.json", "data.root") == [1]
