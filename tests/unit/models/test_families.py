"""Each record of a model family against the model, the processor and the files that it is about."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from sgg.config.compose import compose_config
from sgg.config.model import Family, Frame, LoraConfig, ModelConfig
from sgg.config.tree import CONF_DIR
from sgg.errors import SggError
from sgg.models import tiny
from sgg.models.families import FAMILIES, TinySize, family_named
from sgg.models.load import family_of, load_model
from sgg.models.processor import build_processor, load_processor
from sgg.models.spec import graph_spec
from sgg.models.weights import locate
from sgg.text.prompt import messages


def name_of(family):
    return family.name.name


def is_shipped(family):
    """Whether the package has a tiny base of the family."""
    return (CONF_DIR / "model" / f"tiny_{name_of(family)}.yaml").is_file()


EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=name_of)


@pytest.fixture
def tokenizer(family):
    return tiny.build_tokenizer(family)


def test_every_family_of_the_config_has_a_record():
    assert set(FAMILIES) == set(Family)
    assert all(family.name is name for name, family in FAMILIES.items())


def test_every_option_names_its_checkpoints_family():
    for path in (CONF_DIR / "model").glob("*.yaml"):
        config = compose_config([f"model={path.stem}"])
        assert config.model.family.name in path.stem
        frame = graph_spec(config).frame
        family = FAMILIES[config.model.family]
        assert (frame.frame, frame.factor) == (family.frame, family.factor)


def test_each_family_writes_the_frame_it_was_trained_on():
    """The technical reports: Qwen2-VL and Qwen3-VL 0..1000, Qwen2.5-VL pixels as it sees them."""
    assert FAMILIES[Family.qwen2_vl].frame is Frame.norm1000
    assert FAMILIES[Family.qwen2_5_vl].frame is Frame.resized_px
    assert FAMILIES[Family.qwen3_vl].frame is Frame.norm1000


@EACH
def test_the_loaded_model_has_the_parts_that_the_record_names(family, tokenizer):
    model = tiny.build_model(family, TinySize(layers=1, vision_layers=1), tokenizer, seed=0)
    assert model.config.model_type == family.name.name
    parts = {
        p: model.get_submodule(p)
        for p in (family.tower, *family.mergers, family.language, family.head)
    }
    assert parts[family.head] is model.get_output_embeddings()
    left = set(model.parameters()) - {p for part in parts.values() for p in part.parameters()}
    assert not left
    patches = next(p for n, p in parts[family.tower].named_parameters() if "patch_embed" in n)
    assert patches.shape[-2:] == (family.patch_px, family.patch_px)


@EACH
def test_a_image_takes_the_tokens_that_the_record_says(family, tokenizer):
    side = 4 * family.factor
    processor = build_processor(tokenizer, family, side**2, side**2)
    chat = processor.apply_chat_template(messages("What?", ""), tokenize=False)
    inputs = processor(text=[chat], images=[[Image.new("RGB", (90, 90))]], return_tensors="pt")
    image_tokens = inputs["input_ids"] == tokenizer.convert_tokens_to_ids(family.image_token)
    assert image_tokens.sum() == family.image_tokens(side**2) == 16
    model = tiny.build_model(family, TinySize(layers=1, vision_layers=1), tokenizer, seed=0)
    with torch.no_grad():
        assert model(**inputs).logits.isfinite().all()


@EACH
def test_special_tokens_are_single_ones_of_the_tokenizer(family, tokenizer):
    ids = tokenizer.convert_tokens_to_ids(list(family.vision_tokens))
    assert len(set(ids)) == len(family.vision_tokens)
    assert tokenizer.unk_token_id not in ids
    assert {family.image_token, family.video_token} <= {*family.vision_tokens}


@EACH
def test_added_tokens_are_single_ones_and_text(family, tokenizer):
    for token in {*family.added_tokens} & {*tiny.THOUGHT}:
        (one,) = tokenizer(token, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode([one], skip_special_tokens=True) == token


@EACH
def test_a_chat_without_a_system_turn_gets_what_the_record_says(family, tokenizer):
    chat = tokenizer.apply_chat_template(messages("What?", ""), tokenize=False)
    turn = f"<|im_start|>system\n{family.default_system}<|im_end|>\n"
    assert chat.startswith(turn if family.default_system else "<|im_start|>user\n")


@EACH
def test_a_thought_that_a_template_opens_is_left_to_the_completion(family, tokenizer, tmp_path):
    """As of the thinking models of Qwen3-VL."""
    opened = "'<|im_start|>assistant\\n<think>\\n'"
    template = tokenizer.chat_template.replace("'<|im_start|>assistant\\n'", opened)
    assert template.count(opened) == 1
    tiny.build_model(family, TinySize(layers=1, vision_layers=1), tokenizer, 0).save_pretrained(
        tmp_path
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    processor = load_processor(tmp_path, 12544, 12544)
    chat = {"conversation": messages("What?", ""), "tokenize": False}
    assert tokenizer.apply_chat_template(**chat, add_generation_prompt=True).endswith("<think>\n")
    told = processor.apply_chat_template(**chat, add_generation_prompt=True)
    assert told.endswith("<|im_start|>assistant\n")


@EACH
def test_what_is_saved_names_classes_of_transformers(family, tokenizer, tmp_path):
    build_processor(tokenizer, family, 12544, 12544).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert hasattr(transformers, saved["processor_class"])
    assert hasattr(transformers, saved["video_processor"]["video_processor_type"])
    assert saved["image_processor"]["patch_size"] == family.patch_px
    assert saved["image_processor"]["merge_size"] == family.merge


SHIPPED = pytest.mark.parametrize(
    "family", [f for f in FAMILIES.values() if is_shipped(f)], ids=name_of
)


@SHIPPED
def test_the_shipped_base_is_of_its_family_and_saved_byte_for_byte(family, tmp_path):
    folder = locate(f"tiny_{family.name.name}")
    assert family_of(folder) is family
    load_processor(folder, family.tiny_side**2, family.tiny_side**2).save_pretrained(tmp_path)
    for name in ("processor_config.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@EACH
@given(width=st.integers(20, 3000), height=st.integers(20, 3000), data=st.data())
def test_boxes_come_back_from_the_frame(family, width, height, data):
    """Up to the frame's own grain, half of it at each side."""
    spec = family.frame_spec(3136, 802816)
    assume(max(width, height) < 200 * min(width, height))
    x1, y1 = data.draw(st.integers(0, width - 2)), data.draw(st.integers(0, height - 2))
    box = [x1, y1, data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))]
    written = spec.encode(np.array([box]), width, height)
    frame = spec.size(width, height)
    assert family.frame is not Frame.norm1000 or frame == (1000, 1000)
    back = spec.decode(written, width, height)
    grain = np.array([width / frame[0], height / frame[1]] * 2)
    assert (abs(back - box) <= grain * (1 + 1e-9)).all()


@SHIPPED
def test_frozen_parts_and_adapters_are_where_the_record_says(family):
    source = locate(f"tiny_{family.name.name}")
    config = ModelConfig(path=str(source), family=family.name, freeze_vision=True)
    for name, parameter in load_model(config, source, torch.float32, 0).named_parameters():
        merges = any(name.startswith(f"{merger}.") for merger in family.mergers)
        learns = merges or not name.startswith(f"{family.tower}.")
        assert parameter.requires_grad == learns, name
    config = replace(config, lora=LoraConfig(enable=True, r=2))
    adapted = load_model(config, source, torch.float32, 0).named_parameters()
    learning = [name for name, parameter in adapted if parameter.requires_grad]
    assert len(learning) == 4 * 7 * 2  # layers, matrices of each, halves of an adapter
    assert all(f".{family.language}.layers." in name for name in learning)


def test_a_model_of_another_family_is_refused_by_name():
    with pytest.raises(SggError) as error:
        family_named("llava", "models/llava-7b")
    assert str(error.value) == (
        "models/llava-7b is a llava; models of these families can be trained and evaluated: "
        f"{', '.join(Family.__members__)}."
    )
