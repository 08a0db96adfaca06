"""Counts the tokens of SFT examples without opening images, for stage.args.max_length."""

from __future__ import annotations

import logging
from typing import Any

from trl.data_utils import apply_chat_template, prepare_multimodal_messages

from sgg.data.prepared_split import Prepared
from sgg.errors import SggError
from sgg.train.rows import SftRows

log = logging.getLogger("sgg")


def refuse_longer(limit: int | None, prepared: Prepared, rows: SftRows, processor: Any) -> None:
    """Raise if an example of the split is longer than `limit` tokens; null allows any length.

    TRL would cut it: a target cut in its middle teaches half a graph, one cut off whole teaches nothing.
    So max_length is not passed to TRL.
    """
    if limit is None:
        return
    lengths = [(tokens(gold, rows, processor), gold["image_id"]) for gold in prepared.golds()]
    longest, image_id = max(lengths)
    longer = sum(length > limit for length, _ in lengths)
    if longer:
        raise SggError(
            f"stage.args.max_length={limit}: {longer} of {len(lengths)} examples are longer, and their "
            f"targets would be cut; the longest has {longest} tokens of prompt, image and completion (image "
            f"{image_id}). Take stage.args.max_length=null, or {longest} or more; a smaller "
            "stage.max_pixels shortens images."
        )
    log.info("the longest of %d examples has %d tokens", len(lengths), longest)


def tokens(gold: dict[str, Any], rows: SftRows, processor: Any) -> int:
    """Tokens of prompt, image and completion of a row as `Prepared.gold` gives it, as TRL makes them."""
    said = rows.of_gold(gold)
    said["prompt"] = prepare_multimodal_messages(said["prompt"], images=[None])
    said["completion"] = prepare_multimodal_messages(said["completion"])
    texts = apply_chat_template(said, processor)
    count = sum(
        len(processor.tokenizer(texts[part], add_special_tokens=False)["input_ids"])
        for part in ("prompt", "completion")
    )
    looks = processor.image_processor
    patches = (
        looks.get_number_of_image_patches(gold["height"], gold["width"]) // looks.merge_size**2
    )
    return int(count - 1 + patches)  # the prompt's text has one token for the image
