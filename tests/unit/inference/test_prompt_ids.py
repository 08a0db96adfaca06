"""A prompt's tokens without its pixels: those of the processor, which computes the pixels, too."""

import pytest
from PIL import Image

from sgg.inference.requests import prompt_ids, prompt_text
from sgg.models.families import FAMILIES
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_they_are_the_processors(family):
    processor = load_processor(locate(f"tiny_{family}"), 3136, 50176)
    text = prompt_text(messages(BRIEF, "man on horse"), processor)
    for size in ((30, 30), (61, 300), (224, 224), (640, 471)):
        image = Image.new("RGB", size)
        (whole,) = processor(text=[text], images=[[image]])["input_ids"]
        assert prompt_ids(text, image, processor) == list(whole)
