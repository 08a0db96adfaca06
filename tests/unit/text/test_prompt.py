"""What the model is asked: the message form, and what each template says."""

from __future__ import annotations

import pytest
from strategies import PX

from sgg.config.model import Frame
from sgg.config.prompt import Template
from sgg.errors import SggError
from sgg.scene.boxes import FrameSpec
from sgg.scene.vocab import VOCABULARIES, Vocabulary
from sgg.text.codec import ErrorKind, GraphSpec, parse
from sgg.text.prompt import FORM, SYSTEM, Prompter, default_system, messages, user_text

TINY = Vocabulary("tiny", ("red circle", "cat"), ("left of", "on"))


def test_messages_hold_the_image_before_the_text():
    assert messages("Look.", "Be brief.") == [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Look."}]},
    ]


def test_an_empty_system_message_is_left_out():
    assert [m["role"] for m in messages("Look.", "")] == ["user"]


def test_a_published_prompts_image_token_gives_way_to_the_part():
    (message,) = messages("<image>\nWrite the graph. ", "")
    assert message["content"][1]["text"] == "Write the graph."


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (Frame.norm1000, "whole numbers from 0 to 1000"),
        (Frame.resized_px, "which is 644 wide and 476 high"),
        (Frame.original_px, "original image, which is 640 wide and 480 high"),
    ],
)
@pytest.mark.parametrize("template", [Template.open, Template.closed])
def test_the_prompt_names_the_frame_that_the_codec_reads(template, frame, said):
    text = user_text(template, GraphSpec(FrameSpec(frame, factor=28), vocabulary=TINY), 640, 480)
    assert said in text
    assert FORM in text
    assert "{" not in text.replace(FORM, "")


def test_closed_lists_every_name_and_open_lists_none():
    spec = GraphSpec(PX.frame, vocabulary=TINY)
    closed = user_text(Template.closed, spec, 9, 9)
    assert "class names: red circle, cat." in closed
    assert "predicates: left of, on." in closed
    assert "red circle" not in user_text(Template.open, spec, 9, 9)


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_closed_prompts_carry_the_whole_vocabulary(name):
    vocabulary = VOCABULARIES[name]
    text = user_text(Template.closed, GraphSpec(PX.frame, vocabulary=vocabulary), 9, 9)
    classes, predicates = (line.partition(": ")[2] for line in text.split("\n")[-2:])
    assert tuple(classes.rstrip(".").split(", ")) == vocabulary.objects
    assert tuple(predicates.rstrip(".").split(", ")) == vocabulary.predicates


def test_brief_is_four_words_whatever_the_image():
    assert len(user_text(Template.brief, PX, 640, 480).split()) == 4


def test_the_form_in_the_prompt_is_one_that_the_parser_reads():
    """The form declares name.1 alone, so its relation to name.2 dangles; nothing else is wrong."""
    parsed = parse(FORM.replace("x1,y1,x2,y2", "1,2,3,4"), PX, 9, 9)
    assert [n.name for n in parsed.graph.nodes] == ["name"]
    assert [p.kind for p in parsed.problems] == [ErrorKind.dangling_relation]


@pytest.mark.parametrize("reasoning", [False, True])
def test_the_system_message_asks_for_tags_only_with_reasoning(reasoning):
    text = default_system(GraphSpec(PX.frame, reasoning=reasoning))
    assert all(
        (tag in text) == reasoning for tag in ("<think>", "</think>", "<answer>", "</answer>")
    )


def test_prompter_writes_its_own_template_or_reads_the_rows_column():
    columns = {"prompt_open": "<image> From the data."}
    own = Prompter(PX, Template.brief, SYSTEM).messages(9, 9, columns)
    assert own == messages("Scene graph as JSON.", SYSTEM)
    read = Prompter(PX, Template.prompt_open, "").messages(9, 9, columns)
    assert read == messages("From the data.", "")


def test_a_missing_column_is_named():
    prompter = Prompter(PX, Template.prompt_close, "")
    with pytest.raises(SggError, match=r"prompt\.template=prompt_close, but the data has no such"):
        prompter.messages(9, 9, {"prompt_open": "x"})
