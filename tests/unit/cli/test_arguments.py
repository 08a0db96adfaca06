"""Arguments of a tool: split from a config's overrides, and reported where they are empty or misspelt."""

import re
from pathlib import Path

import pytest

from sgg.cli import predict, reward, score
from sgg.cli.arguments import split_arguments, typed_path
from sgg.errors import SggError

OWN = ("predictions", "against", "out")


def test_a_tools_words_and_a_configs():
    words = ["against=a=b", "data=shapes", "out=x", "outer.out=1"]
    assert split_arguments(words, OWN) == ({"against": "a=b", "out": "x"}, [words[1], words[3]])


@pytest.mark.parametrize(
    ("tool", "words", "said"),
    [
        (score, ["x", "against="], "against=: no value. Write against=VALUE, or leave"),
        (score, ["x", "out= "], "out=: no value"),
        (reward, ["x", "split="], "split=: no value"),
        (reward, ["x", "explain="], "explain=: no value"),
        (score, ["x", "agianst=y"], "agianst=y: no such key. Did you mean 'against'?"),
        (reward, ["x", "explian=y"], "Did you mean 'explain'?"),
        (predict, ["runs/a", "a.jpg", "b.jpg"], "b.jpg: sgg predict reads one image a call"),
    ],
)
def test_words_that_a_tool_cannot_heed(tool, words, said):
    with pytest.raises(SggError, match=re.escape(said)):
        tool.main(words)


def test_a_link_that_was_typed_is_followed(tmp_path):
    """`latest` is the user's own word; a link inside of a folder is whoever made the folder's."""
    (tmp_path / "run").mkdir()
    (tmp_path / "latest").symlink_to("run")
    assert typed_path(tmp_path / "latest") == (tmp_path / "run").resolve()
    assert typed_path(tmp_path / "latest" / "x") == tmp_path / "latest" / "x"
    assert typed_path(Path("~")) == Path.home()
