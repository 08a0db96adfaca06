"""Whether a chat template writes SFT's answers as they are; asked once, before training."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.train.rows import SftRows


def refuse_changed_answer(path: str, prepared: Prepared, rows: SftRows, processor: Any) -> None:
    """Raise unless the first example's turns are its prompt, its answer and the end of the turn.

    TRL trains on what the template writes for the whole chat. The published templates of thinking models put
    a think block before every last answer; others strip answers. The model would learn a text that is not the
    target and that a prompt for generation does not lead to.

    Args:
        path: `model.path`, for the message.

    """
    said = rows.of_gold(prepared.gold(0))
    answer = said["completion"][0]["content"][0]["text"]
    prompt = processor.apply_chat_template(
        said["prompt"], tokenize=False, add_generation_prompt=True
    )
    whole = processor.apply_chat_template(said["prompt"] + said["completion"], tokenize=False)
    expected = f"{prompt}{answer}{processor.family.turn_end}"
    if whole.rstrip() == expected:  # most templates write a line break behind a turn
        return
    same = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(whole, expected, strict=False))
    )
    start = max(0, same - 20)
    raise SggError(
        f"model.path={path}: its chat template changes the answers that SFT teaches: it writes "
        f"{whole[start : same + 40]!r} instead of {expected[start : same + 40]!r}. Templates of thinking "
        "models add a think block. Take the family's Instruct model, or a copy of the model's folder whose "
        "chat_template.jinja is the Instruct model's."
    )
