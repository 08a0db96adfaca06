"""Loading models: adapters on adapters, chat templates, a checkpoint's own settings."""

import json
import shutil

import pytest
import torch
from PIL import Image

from sgg.config.model import Family, LoraConfig, ModelConfig
from sgg.errors import SggError
from sgg.inference.generate import Sampling
from sgg.inference.hf import HfEngine
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages

SIDE = 112
TINY = locate("tiny_qwen2_5_vl")


@pytest.fixture
def folder(tmp_path):
    """A checkpoint folder that may be spoilt."""
    return shutil.copytree(TINY, tmp_path / "model")


def load(folder, **values):
    config = ModelConfig(path=str(folder), family=Family.qwen2_5_vl, **values)
    return load_model(config, folder, torch.float32, seed=0)


def adapter(base, out, value):
    """An adapter on the model of a folder, whose every B matrix is `value`."""
    model = load(base, lora=LoraConfig(enable=True, r=2))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(value)
    model.save_pretrained(out)
    return model.merge_and_unload().state_dict()


def test_an_adapter_on_an_adapter_keeps_the_first(tmp_path):
    first = adapter(TINY, tmp_path / "first", 0.1)
    second = adapter(tmp_path / "first", tmp_path / "second", 0.0)
    loaded = load(tmp_path / "second").state_dict()
    base = load(TINY).state_dict()
    moved = [k for k in base if not torch.equal(base[k], first[k])]
    assert moved
    for name in moved:
        torch.testing.assert_close(loaded[name], first[name])
        torch.testing.assert_close(second[name], first[name])


def test_an_adapter_without_a_tokenizer_takes_that_of_its_base(tmp_path):
    adapter(TINY, tmp_path / "first", 0.1)
    adapter(tmp_path / "first", tmp_path / "second", 0.0)
    assert not list((tmp_path / "second").glob("tokenizer*"))
    found = load_processor(tmp_path / "second", SIDE * SIDE, SIDE * SIDE).tokenizer
    own = load_processor(TINY, SIDE * SIDE, SIDE * SIDE).tokenizer
    assert found.get_vocab() == own.get_vocab()
    assert found.chat_template == own.chat_template


def test_settings_that_a_checkpoint_brings_do_not_bend_the_completions(folder):
    """A repetition penalty in generation_config.json, as hub checkpoints have, changes nothing."""

    def completion(path):
        processor = load_processor(path, SIDE * SIDE, SIDE * SIDE)
        engine = HfEngine(load(path), processor, Sampling(max_new_tokens=24))
        image = Image.new("RGB", (SIDE, SIDE), "red")
        return engine.complete([messages(BRIEF, "")], [image], seed=0)[0][0]

    plain = completion(folder)
    path = folder / "generation_config.json"
    own = json.loads(path.read_text()) | {"repetition_penalty": 5.0, "min_new_tokens": 20}
    path.write_text(json.dumps(own))
    assert completion(folder) == plain


def test_a_template_kept_by_the_processor_is_found(folder):
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(SggError, match="no place for an image"):
        load_processor(folder, SIDE * SIDE, SIDE * SIDE)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    processor = load_processor(folder, SIDE * SIDE, SIDE * SIDE)
    chat = processor.apply_chat_template(messages(BRIEF, ""), tokenize=False)
    assert chat.count("<|image_pad|>") == 1


def test_a_missing_shard_is_told(folder):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SggError, match=r"model-00002-of-00002\.safetensors missing"):
        locate(str(folder))
