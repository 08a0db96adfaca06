"""Arguments of a tool: split from a config's overrides, and reported where they are empty or misspelt."""

import re

import pytest

from sgg.cli import predict, reward, score
from sgg.cli.arguments import split_arguments
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
