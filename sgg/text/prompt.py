"""Chat messages from an image's size, the graph spec and a template; all wording for a model is here.

Input: an image size, a `GraphSpec`, a template's name. Output: a system and a user message in
the chat format of transformers, the image as a placeholder. SFT, GRPO and evaluation share one
`Prompter`, so they cannot differ unless the config says so. No tokenising here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgg.config.model import Frame
from sgg.config.prompt import Template
from sgg.errors import SggError
from sgg.text.codec import GraphSpec

SYSTEM = "You look at images closely and describe them as scene graphs."

SYSTEM_REASONING = (
    "You look at images closely and describe them as scene graphs. First think about what is to "
    "be seen, inside <think> and </think>; then give the result inside <answer> and </answer>."
)

OPEN = (
    "Write the scene graph of this image: the objects, each with a box, and the relations between "
    "them.\n{frame}\nAnswer with one JSON object of this form:\n{form}\n"
    "An id is a class name, a dot and a number that is used once. Relations name two ids."
)

CLOSED = OPEN + "\nUse only these class names: {objects}.\nUse only these predicates: {predicates}."

BRIEF = "Scene graph as JSON."

FORM = (
    '{"objects":[{"id":"name.1","bbox":[x1,y1,x2,y2]}],'
    '"relationships":[{"subject":"name.1","predicate":"text","object":"name.2"}]}'
)

FRAME_SENTENCES = {
    Frame.norm1000: (
        "A box is [x1,y1,x2,y2], left, top, right, bottom, in whole numbers from 0 to 1000 of the "
        "image's width and height."
    ),
    Frame.resized_px: (
        "A box is [x1,y1,x2,y2], left, top, right, bottom, in pixels of the image, which is "
        "{width} wide and {height} high."
    ),
    Frame.original_px: (
        "A box is [x1,y1,x2,y2], left, top, right, bottom, in pixels of the original image, which "
        "is {width} wide and {height} high."
    ),
}


Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Prompter:
    """What a run asks about each image: one for SFT, GRPO, evaluation and prediction."""

    spec: GraphSpec
    template: Template
    system: str
    """System message; empty for none."""

    def messages(self, width: int, height: int, columns: Mapping[str, str]) -> Messages:
        """The chat for an image of that size; `columns` are the row's own texts.

        Raises:
            SggError: the template is a data column that the row does not have.

        """
        if not self.template.is_column:
            return messages(user_text(self.template, self.spec, width, height), self.system)
        name = self.template.name
        if name not in columns:
            raise SggError(
                f"prompt.template={name}, but the data has no such column. Take prompt=open or closed."
            )
        return messages(columns[name], self.system)


def messages(user: str, system: str) -> Messages:
    """One system message (left out when empty) and one user message, the image before the text.

    Every content is a list of parts: one form for the processor, TRL and OpenAI-style servers. A
    published prompt may carry the image token itself; the part stands for it.
    """
    turns: Messages = []
    if system:
        turns.append({"role": "system", "content": [{"type": "text", "text": system}]})
    text = user.replace("<image>", "").strip()
    turns.append({"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]})
    return turns


def user_text(template: Template, spec: GraphSpec, width: int, height: int) -> str:
    """The user's sentence for an image of that size, by a template of this module."""
    assert not template.is_column, "column templates are read from the data"
    if template is Template.brief:
        return BRIEF
    frame_width, frame_height = spec.frame.size(width, height)
    frame = FRAME_SENTENCES[spec.frame.frame].format(width=frame_width, height=frame_height)
    if template is Template.open:
        return OPEN.format(frame=frame, form=FORM)
    assert spec.vocabulary is not None, "validate() refuses closed prompts without a vocabulary"
    return CLOSED.format(
        frame=frame,
        form=FORM,
        objects=", ".join(spec.vocabulary.objects),
        predicates=", ".join(spec.vocabulary.predicates),
    )


def default_system(spec: GraphSpec) -> str:
    """The system message that fits the spec, for SFT and GRPO alike."""
    return SYSTEM_REASONING if spec.reasoning else SYSTEM
