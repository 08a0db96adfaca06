"""SFT's answers as a chat template writes them: every family's as they are, a thinking model's refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from sgg.config.compose import compose_config
from sgg.data.prepare import image_store, prepare
from sgg.errors import SggError
from sgg.models.families import FAMILIES
from sgg.models.processor import build_processor, load_processor
from sgg.models.qwen_vocabulary import build_tokenizer
from sgg.models.spec import prompter
from sgg.models.weights import locate
from sgg.runs.folder import CURVES
from sgg.train.rows import SftRows
from sgg.train.turns import refuse_changed_answer

TURN = "{{- '<|im_start|>' + message.role + '\\n' }}"
THOUGHT = """{%- set content = message.content[0].text %}
{%- set reasoning_content = '' %}
{%- if '</think>' in content %}
    {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n') %}
    {%- set reasoning_content = reasoning_content.split('<think>')[-1].lstrip('\\n') %}
    {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' }}
{{- content.lstrip('\\n') }}
{%- set message = {'content': ''} %}"""
"""How Qwen3-VL-…-Thinking's published template writes the last turn of an assistant."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One image, prepared: (config, prepared)."""
    folder = tmp_path_factory.mktemp("data")
    Image.new("RGB", (100, 80), "red").save(folder / "0.png")
    row = {"image": "0.png", "width": 100, "height": 80, "relationships": []}
    row["objects"] = [{"id": "man.1", "bbox": [10, 10, 50, 60]}]
    (folder / "annotations.jsonl").write_text(json.dumps(row))
    config = compose_config(["data=jsonl", f"data.root={folder}", "data.workers=1"])
    return config, prepare(config.data, "train", folder / "cache", quiet=True)


def check(prepared, processor, *words):
    config, rows = prepared
    asked = compose_config(["data=jsonl", "data.root=.", *words])
    made = SftRows(image_store(config.data, "train"), prompter(asked))
    refuse_changed_answer("some/model", rows, made, processor)


@pytest.mark.parametrize("prompt", ["open", "open_think"])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name.name)
def test_the_families_templates_write_answers_as_they_are(prepared, family, prompt):
    published = build_processor(build_tokenizer(family), family, 3136, 12544)
    tiny = load_processor(locate(f"tiny_{family.name.name}"), 3136, 12544)
    for processor in (published, tiny):
        check(prepared, processor, f"prompt={prompt}")


def qwen3_with(change):
    family = next(f for f in FAMILIES.values() if f.chat_template == "qwen3_vl")
    tokenizer = build_tokenizer(family)
    head, assistant, rest = tokenizer.chat_template.partition('message.role == "assistant" %}')
    tokenizer.chat_template = head + assistant + change(rest)
    return build_processor(tokenizer, family, 3136, 12544)


@pytest.mark.parametrize("prompt", ["open", "open_think"])
def test_a_template_that_adds_a_thought_is_refused(prepared, prompt):
    processor = qwen3_with(lambda rest: rest.replace(TURN, THOUGHT, 1))
    with pytest.raises(SggError) as caught:
        check(prepared, processor, f"prompt={prompt}")
    said = str(caught.value)
    assert said.startswith("model.path=some/model: its chat template changes the answers")
    assert "assistant\\n<think>\\n" in said.partition(" instead of ")[0]
    assert "Take the family's Instruct model" in said


def test_a_template_that_leaves_the_turn_open_is_refused(prepared):
    processor = qwen3_with(lambda rest: rest.replace("<|im_end|>", "", 1))
    with pytest.raises(SggError, match="instead of"):
        check(prepared, processor)


@pytest.mark.slow
def test_a_run_is_refused_before_its_first_step(tmp_path):
    model = tmp_path / "thinking"
    shutil.copytree(locate("tiny_qwen2_5_vl"), model)
    template = model / "chat_template.jinja"
    template.write_text(
        template.read_text().replace("{{- part.text }}", "{{- part.text | replace('1', '2') }}")
    )
    words = [f"model.path={model}", f"paths.root={tmp_path}", f"paths.cache={tmp_path}/cache"]
    done = subprocess.run(
        [sys.executable, "-m", "sgg", "stage=sft", "debug=steps", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"model.path={model}: its chat template changes the answers" in done.stdout + done.stderr
    assert not list(tmp_path.rglob(CURVES))
