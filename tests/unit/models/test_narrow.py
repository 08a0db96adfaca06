"""Narrow models: what a checkpoint folder of the hub has, made here; the same each time."""

import json
import subprocess
import sys

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer

from sgg.config.model import Family
from sgg.models.families import FAMILIES
from sgg.models.load import declared_ends, family_of
from sgg.models.narrow import narrow_folder
from sgg.models.processor import load_processor
from sgg.models.weights import parameters
from sgg.text.prompt import BRIEF, messages

HEAD_SIZES_OF_VLLM = (32, 64, 80, 96, 112, 128)
"""On a CPU."""


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def made(request, tmp_path_factory):
    """(family, folder)."""
    folder = tmp_path_factory.mktemp("narrow") / "deep" / request.param.name.name
    return request.param, narrow_folder(request.param, folder)


def test_it_has_the_published_head_on_few_weights(made):
    family, folder = made
    assert family_of(folder) is family
    config = json.loads((folder / "config.json").read_text())
    text = config["text_config"]
    assert text["vocab_size"] == 151_936
    assert text["hidden_size"] // text["num_attention_heads"] in HEAD_SIZES_OF_VLLM
    assert 19.5e6 < parameters(folder) < 22e6
    assert declared_ends(folder) == [151_645, 151_643]


def test_its_files_are_read_as_the_hubs_are(made):
    family, folder = made
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(tokenizer).__name__ == "Qwen2Tokenizer"
    assert len(tokenizer) == 151_657 + len(family.added_tokens)
    assert tokenizer("<|im_end|>")["input_ids"] == [151_645]
    assert {"vocab.json", "merges.txt", "tokenizer.json"} <= {
        file.name for file in folder.iterdir()
    }
    side = 2 * family.factor
    processor = load_processor(folder, side**2, side**2)
    chat = processor.apply_chat_template(messages(BRIEF, ""), tokenize=False)
    inputs = processor(text=[chat], images=[[Image.new("RGB", (90, 90))]], return_tensors="pt")
    assert (inputs["input_ids"] == 151_655).sum() == 4
    assert processor.forbidden_ids[5:] == list(range(len(tokenizer), 151_936))
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits.shape[-1] == 151_936
    assert logits.isfinite().all()


def test_a_folder_that_is_there_stays(made):
    family, folder = made
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert narrow_folder(family, folder, seed=1) == folder
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert not [file for file in folder.parent.iterdir() if file.name.endswith(".partial")]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """(family, folder) of one family."""
    family = FAMILIES[Family.qwen2_5_vl]
    return family, narrow_folder(family, tmp_path_factory.mktemp("one") / "model")


@pytest.mark.slow
def test_the_command_line_writes_the_same_bytes(one):
    family, folder = one
    again = folder.with_name("again")
    words = ["--family", family.name.name, "--out", str(again)]
    done = subprocess.run(
        [sys.executable, "-m", "sgg.models.narrow", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str(again)
    names = sorted(file.name for file in folder.iterdir())
    assert sorted(file.name for file in again.iterdir()) == names
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in names)


@pytest.mark.slow
def test_another_seed_gives_other_weights(one):
    family, folder = one
    other = narrow_folder(family, folder.with_name("other"), seed=1)
    first, second = ((f / "model.safetensors").read_bytes() for f in (folder, other))
    assert len(first) == len(second)
    assert first != second
