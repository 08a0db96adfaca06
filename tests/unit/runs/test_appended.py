"""A file that grows, is cut or replaced: each look gives what is new, and says when it begins again."""

import pytest

from sgg.errors import SggError
from sgg.files import write_whole
from sgg.runs.appended import AppendedLines


class Reader:
    def __init__(self, path):
        self.lines, self.anew = AppendedLines(path, dict[str, int]), 0

    def new(self):
        return [row["a"] for row in self.lines.new(self.forget)]

    def forget(self):
        self.anew += 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.jsonl"


@pytest.fixture
def reader(path):
    return Reader(path)


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_each_look_gives_what_was_appended(path, reader):
    assert reader.new() == []
    append(path, '{"a": 1}\n{"a": 2}\n')
    assert reader.new() == [1, 2]
    assert reader.new() == []
    append(path, '{"a": 3}\n')
    assert reader.new() == [3]
    assert reader.anew == 0


def test_a_line_that_is_still_written_comes_with_the_next_look(path, reader):
    append(path, '{"a": 1}\n{"a"')
    assert reader.new() == [1]
    append(path, ": 2}\n")
    assert reader.new() == [2]


def test_only_what_was_appended_is_read(path, reader, monkeypatch):
    """A file of 4 MB: the second look reads a line of it, and the bytes that are compared."""
    append(path, '{"a": 1}\n' * 400_000)
    assert len(reader.new()) == 400_000
    read = []
    opened = __import__("sgg.runs.appended", fromlist=["opened"]).opened

    def counting(*words):
        file = opened(*words)

        class Counting:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def __getattr__(self, name):
                return getattr(file, name)

            def read(self, size):
                read.append(size)
                return file.read(size)

            def readline(self, size):
                line = file.readline(size)
                read.append(len(line))
                return line

        return Counting()

    monkeypatch.setattr("sgg.runs.appended.opened", counting)
    append(path, '{"a": 2}\n')
    assert reader.new() == [2]
    assert sum(read) < 100


def test_a_file_that_a_resumed_run_wrote_anew_is_read_from_its_beginning(path, reader):
    append(path, '{"a": 1}\n{"a": 2}\n')
    reader.new()
    write_whole(path, '{"a": 1}\n')
    append(path, '{"a": 5}\n{"a": 6}\n')  # longer than before
    assert reader.new() == [1, 5, 6]
    assert reader.anew == 1


@pytest.mark.parametrize("text", ['{"a": 7}\n', '{"a": 1}\n{"a": 9}\n{"a": 3}\n', ""])
def test_a_file_with_other_bytes_is_read_from_its_beginning(path, reader, text):
    """Shorter, or of other content, in the same inode."""
    append(path, '{"a": 1}\n{"a": 2}\n')
    reader.new()
    path.write_text(text)
    assert reader.new() == [int(part[0]) for part in text.split('"a": ')[1:]]
    assert reader.anew == 1


def test_a_file_that_has_gone(path, reader):
    append(path, '{"a": 1}\n')
    reader.new()
    path.unlink()
    assert reader.new() == []
    assert reader.anew == 1
    append(path, '{"a": 4}\n')
    assert reader.new() == [4]
    assert reader.anew == 1


@pytest.mark.parametrize("line", ["{", "[]", '{"a": "b"}', '{"a": "\\ud800"}'])
def test_a_damaged_line_is_named_and_passed_over(path, reader, line):
    append(path, f'{{"a": 1}}\n{line}\n{{"a": 3}}\n')
    with pytest.raises(SggError, match=r"rows\.jsonl, line 2"):
        reader.new()
    assert reader.new() == [3]


def test_a_line_without_an_end_is_not_read_for_ever(path, reader, monkeypatch):
    monkeypatch.setattr("sgg.runs.appended.LINE_BYTES", 1000)
    path.write_text("x" * 5000)
    with pytest.raises(SggError, match="too long"):
        reader.new()


def test_no_link_is_followed(path, reader):
    path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        reader.new()
