"""Narrow models that are spoilt on purpose."""

import shutil

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from sgg.models.processor import load_processor
from sgg.text.prompt import BRIEF, messages


def tempt(source, folder):
    """Write a copy of a narrow model whose head prefers ids without a token; returns these ids.

    Their rows point where that of a likely token does, and are longer.
    """
    shutil.copytree(source, folder)
    processor = load_processor(folder, 12544, 12544)
    unused = list(range(len(processor.tokenizer), 151_936))
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32)
    likely = written(model, processor, max_new_tokens=1)[0]
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        head[unused] = 3 * head[likely]
    model.save_pretrained(folder)
    assert set(written(model, processor, max_new_tokens=8)) & set(unused)
    return set(unused)


def written(model, processor, **wanted):
    """Ids of what transformers writes, greedily, with nothing forbidden."""
    chat = processor.apply_chat_template(
        messages(BRIEF, ""), tokenize=False, add_generation_prompt=True
    )
    image = Image.new("RGB", (90, 90), "green")
    inputs = processor(text=[chat], images=[[image]], return_tensors="pt")
    ids = model.generate(**inputs, do_sample=False, **wanted)
    return ids[0, inputs["input_ids"].size(1) :].tolist()
