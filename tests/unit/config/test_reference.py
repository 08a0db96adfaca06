"""docs/config.md is what the schema says, and the schema says what each key means."""

import re

from sgg.config.reference import reference
from sgg.config.tree import PACKAGE


def test_the_page_is_up_to_date():
    page = (PACKAGE.parent / "docs" / "config.md").read_text()
    assert page == reference(), "python -m sgg.config.reference > docs/config.md"


def test_every_key_has_a_meaning():
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert not [row[0] for row in rows if not row[3].strip(" |")]


def test_types_and_defaults_are_those_of_yaml():
    text = reference()
    assert "| `data.train.offset` | int | `0` |" in text
    assert "| `model.lora.enable` | bool | `false` |" in text
    assert "| `data.root` | str or null | `null` |" in text
    assert re.search(r"`protocol.modes` \| list\[.*\] \| `\[sgdet, phrdet\]`", text)
    assert "(stage=grpo)" in text
