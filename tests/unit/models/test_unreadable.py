"""A checkpoint whose files say nonsense ends in one message that names the folder."""

import json
import shutil

import pytest
import torch

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.unreadable import explained_as_damaged
from sgg.models.weights import locate


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(locate("tiny_qwen2_vl"), tmp_path / "checkpoint")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_type": [1]}', "[" * 100_000])
def test_files_that_say_nonsense(checkpoint, name, content):
    (checkpoint / name).write_text(content)
    model = compose_config(["stage=sft", "model=tiny_qwen2_vl"]).model
    try:
        load_processor(checkpoint, 3136, 50176)
        load_model(model, checkpoint, torch.float32, 0)
    except SggError as error:
        assert str(checkpoint) in str(error)  # noqa: PT017  # some nonsense changes nothing


def test_a_wrong_size_is_told_with_the_librarys_words(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(
        json.dumps(config | {"text_config": {"hidden_size": "x"}})
    )
    model = compose_config(["stage=sft", "model=tiny_qwen2_vl"]).model
    with pytest.raises(SggError, match=r"checkpoint: the checkpoint cannot be used \(\w+: "):
        load_model(model, checkpoint, torch.float32, 0)


def test_a_mistake_that_is_explained_already_stays(tmp_path):
    with pytest.raises(SggError, match=r"^other$"), explained_as_damaged(tmp_path):
        raise SggError("other")


def test_a_tokenizer_without_the_image_token_is_refused(checkpoint):
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [
        t for t in tokenizer["added_tokens"] if "image" not in t["content"]
    ]
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(SggError, match="the tokenizer does not write"):
        load_processor(checkpoint, 3136, 50176)
