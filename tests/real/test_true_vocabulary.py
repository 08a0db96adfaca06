"""Photographs at their real size, published vocabularies, narrow models: all stages by the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import sgg_ok
from PIL import Image

from sgg.config.data import DataConfig, ImageSource, Source, SplitConfig, VocabularyName
from sgg.config.model import Family
from sgg.config.tree import CONF_DIR
from sgg.data.prepare import prepare
from sgg.models.families import FAMILIES
from sgg.models.narrow import narrow_folder
from sgg.models.processor import load_processor
from sgg.models.qwen_vocabulary import build_tokenizer
from sgg.runs.folder import read_json_lines
from sgg.text.codec import GraphSpec, render
from sgg.text.prompt import BRIEF, messages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.true_vocab,
    pytest.mark.skipif(
        not os.environ.get("SGG_REALDATA"),
        reason="SGG_REALDATA is not set: the folder of real annotations (docs/data.md) is not here",
    ),
]

STEPS = {
    "sft": [
        "stage.global_batch=1",
        "stage.optimizer.kind=muon_adamw",
        "stage.optimizer.muon_lr=0.02",
        "stage.args.max_steps=50",
        "stage.args.learning_rate=5e-3",
        "stage.args.lr_scheduler_type=constant_with_warmup",
        "stage.args.warmup_steps=3",
        "stage.args.max_grad_norm=1.0",
    ],
    "grpo": [
        "stage.prompts_per_step=1",
        "stage.args.max_steps=2",
        "stage.args.num_generations=2",
        "stage.args.max_completion_length=24",
        "model.max_pixels=100352",
    ],
    "eval": ["stage.split=train", "generate.max_new_tokens=200"],
}

FULL_SIZE = "model.max_pixels=802816"
"""As SFT and the evaluation have it; GRPO, whose run is asked in the end, takes less to be short."""


@pytest.fixture(scope="module")
def photos():
    folder = Path(os.environ["SGG_REALDATA"]).absolute() / "photos"
    assert len(list(folder.glob("*.jpg"))) == 3
    return folder


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=lambda family: family.name.name)
def narrow(request, tmp_path_factory):
    """(family, folder of its narrow model)."""
    folder = tmp_path_factory.mktemp("narrow") / request.param.name.name
    return request.param, narrow_folder(request.param, folder)


def option(family):
    """A published model of the family, as `model=` names it."""
    paths = sorted((CONF_DIR / "model").glob(f"{family.name.name}_*b.yaml"))
    return paths[0].stem


def test_it_learns_photographs_and_is_rewarded_evaluated_and_asked(narrow, photos, tmp_path):
    family, folder = narrow
    steps = [
        f"pipeline.steps.{name}.overrides={json.dumps([f'stage={name}', *words])}"
        for name, words in STEPS.items()
    ]
    run = tmp_path / "run"
    sgg_ok(
        "pipeline=sft_grpo_eval",
        *steps,
        f"model={option(family)}",
        f"model.path={folder}",
        "hardware=cpu",
        "data=jsonl",
        f"data.root={photos}",
        "prompt=open",
        "tracker=none",
        f"paths.run_dir={run}",
        cwd=tmp_path,
        timeout=1500,
        OMP_NUM_THREADS="2",
    )
    losses = [
        row["loss"] for row in read_json_lines(run / "sft" / "metrics.jsonl") if "loss" in row
    ]
    assert losses[0] > 10  # of 151,936 tokens none is likelier than another
    assert max(losses[-3:]) < 0.5
    scored = [r for r in read_json_lines(run / "grpo" / "metrics.jsonl") if "loss" in r]
    assert len(scored) == 2
    found = json.loads((run / "eval" / "metrics.json").read_text())
    assert found["images"] == 3
    said = read_json_lines(run / "eval" / "completions.jsonl")
    assert all(row["text"].startswith('{"objects":[{"id":"') for row in said)
    photo = photos / "000000522418.jpg"
    words = [f"out={tmp_path / 'graphs'}", "generate.max_new_tokens=200", FULL_SIZE]
    sgg_ok("predict", str(run / "grpo"), str(photo), *words, cwd=tmp_path)
    graph = json.loads((tmp_path / "graphs" / f"{photo.stem}.graph.json").read_text())
    assert (graph["width"], graph["height"]) == (640, 480)
    assert graph["text"].startswith('{"objects"')
    assert (tmp_path / "graphs" / f"{photo.stem}.graph.png").is_file()


@pytest.mark.parametrize(
    ("size", "most", "tokens"),
    [
        ((640, 427), 1024, {28: 345, 32: 260}),
        ((1024, 768), 1024, {28: 999, 32: 768}),
        ((1024, 768), 512, {28: 494, 32: 494}),
    ],
)
def test_an_image_takes_the_tokens_that_are_known_of_its_size(narrow, size, most, tokens):
    family, folder = narrow
    processor = load_processor(folder, 3136, most * family.factor**2)
    chat = processor.apply_chat_template(messages(BRIEF, ""), tokenize=False)
    inputs = processor(text=[chat], images=[[Image.new("RGB", size)]], return_tensors="pt")
    found = int((inputs["input_ids"] == processor.image_token_id).sum())
    assert found == pytest.approx(tokens[family.factor], rel=0.01)


def test_gold_answers_take_the_tokens_that_are_known_of_vg150(tmp_path):
    """289 on average and 560 at the 90th percentile, of 5,000 answers of the test split."""
    root = Path(os.environ["SGG_REALDATA"]).absolute() / "vg150_test"
    data = DataConfig(
        source=Source.vg,
        root=str(root),
        eval=SplitConfig(name="test"),
        vocabulary=VocabularyName.vg150,
        image_source=ImageSource.painted,
    )
    prepared = prepare(data, "eval", tmp_path, quiet=True)
    family = FAMILIES[Family.qwen2_vl]
    spec = GraphSpec(family.frame_spec(3136, 512 * family.factor**2))
    golds = [prepared.gold(i) for i in range(0, len(prepared), 5)]
    answers = [render(g["graph"], spec, g["width"], g["height"]) for g in golds]
    ids = build_tokenizer(family)(answers, add_special_tokens=False)["input_ids"]
    lengths = np.array([len(answer) for answer in ids])
    assert lengths.mean() == pytest.approx(289, rel=0.01)
    assert np.percentile(lengths, 90) == pytest.approx(560, rel=0.01)
