"""Which ids a completion never holds: image tokens, and rows of the head without a token."""

import pytest

from sgg.models.families import FAMILIES
from sgg.models.forbidden import forbidden_ids
from sgg.models.processor import load_processor
from sgg.models.qwen_vocabulary import build_tokenizer, published_tokens
from sgg.models.weights import locate


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def known(request):
    """(family, its tokenizer)."""
    return request.param, build_tokenizer(request.param)


@pytest.mark.parametrize("rows", [151_936, 152_064])
def test_rows_of_the_published_heads_without_a_token(known, rows):
    family, tokenizer = known
    found = forbidden_ids(tokenizer, family, rows)
    assert tokenizer.convert_ids_to_tokens(found[:5]) == list(family.vision_tokens)
    assert found[5:] == list(range(len(tokenizer), rows))
    assert published_tokens(family) == len(tokenizer)


def test_tokens_that_a_user_has_added_may_be_written():
    family = next(iter(FAMILIES.values()))
    tokenizer = build_tokenizer(family)
    tokenizer.add_tokens(["<box_of>", "<right_of>"])
    first = published_tokens(family)
    assert tokenizer.convert_tokens_to_ids("<box_of>") == first
    assert forbidden_ids(tokenizer, family, 151_936)[5:] == list(range(first + 2, 151_936))


def test_of_a_tiny_model_the_image_tokens_alone_are_forbidden():
    processor = load_processor(locate("tiny_qwen2_vl"), 12544, 12544)
    tokens = processor.tokenizer.convert_ids_to_tokens(processor.forbidden_ids)
    assert tokens == list(processor.family.vision_tokens)
