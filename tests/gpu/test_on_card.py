"""What matters on a card, in bf16: on a GPU where there is one, else the same on the CPU.

`make gpu-check` runs these on its GPU.
"""

import copy
import shutil

import numpy as np
import pytest
import torch
from commands import sgg_ok
from PIL import Image
from safetensors.torch import load_file
from trl.trainer.utils import add_fused_lm_head

from sgg.config.model import Family, ModelConfig
from sgg.config.stage import FastPath
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages
from sgg.train.logprobs import ScoringHead
from sgg.train.shared_prefix.sharing import SharedPrefix

pytestmark = pytest.mark.gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS = 40_000
"""Of the head: more than the vocabulary whose every token is scored on a CPU."""

OUTPUTS = ("log_probs", "entropy")
ANSWERS = ('{"objects":[],"relationships":[]}', '{"objects":[{"id":"a.1","bbox":[0,0,9,9]}]}')


@pytest.fixture(scope="module", params=[family.name for family in Family])
def loaded(request):
    """(model in bf16, processor) of a tiny model with a large head."""
    folder = locate(f"tiny_{request.param}")
    config = ModelConfig(path=str(folder), family=Family[request.param])
    model = load_model(config, folder, torch.bfloat16, seed=0)
    torch.manual_seed(0)  # of the new rows
    model.resize_token_embeddings(ROWS, mean_resizing=False)
    return model.to(DEVICE).eval(), load_processor(folder, 12544, 16384)


def asked(processor, answers=("", ""), *, same_image=False):
    """A prompt with its image for each answer, which stands behind it."""
    chat = processor.apply_chat_template(
        messages(BRIEF, ""), tokenize=False, add_generation_prompt=True
    )
    noise = np.random.default_rng(0).integers(0, 256, (len(answers), 112, 112, 3), dtype=np.uint8)
    if same_image:
        noise[:] = noise[0]
    inputs = processor(
        text=[chat + answer for answer in answers],
        images=[[Image.fromarray(image)] for image in noise],
        padding=True,
        return_tensors="pt",
    )
    return inputs.to(DEVICE)


def labels_of(inputs, start):
    """The ids from a place on; -100 before it."""
    labels = inputs["input_ids"].clone()
    labels[:, :start] = -100
    return labels


def test_labelled_rows_are_scored_as_trl_scores_them(loaded):
    """A logit of bf16 has 8 bits, and the tiles are others: the largest differ by one of these."""
    model, processor = loaded
    inputs = asked(processor, ANSWERS)
    labels, found = labels_of(inputs, 30), []
    for add in (ScoringHead().add_to, add_fused_lm_head):
        own = copy.deepcopy(model)
        add(own, outputs=OUTPUTS)
        scored = own(**inputs, labels=labels, fused_lm_head=True)
        wanted = scored.label_mask
        scored.log_probs[wanted].mean().backward()
        grad = own.get_output_embeddings().weight.grad
        found.append((scored.log_probs[wanted], scored.entropy[wanted], grad))
    ours, theirs = found
    assert len(ours[0]) == int((labels[:, 1:] != -100).sum())
    assert ours[0].mean() < -1
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        apart = (one.float() - other.float()).abs()
        assert apart.mean() < 0.01
        assert apart.max() < 0.1
    largest = theirs[2].abs().max()
    torch.testing.assert_close(ours[2], theirs[2], rtol=0, atol=2e-2 * largest.item())


@pytest.mark.parametrize("autocast", [False, True])
def test_completions_that_share_a_prompt_are_scored_as_trl_scores_them(loaded, autocast):
    """Three of one prompt, of different lengths; weights in bf16, or in fp32 under autocast."""
    model, processor = copy.deepcopy(loaded[0]), loaded[1]
    if autocast:
        model.float()
    prompt = int(asked(processor)["input_ids"].size(1))
    inputs, found = asked(processor, (*ANSWERS, '{"objects"'), same_image=True), []
    columns = torch.arange(inputs["input_ids"].size(1), device=DEVICE)
    begins = (
        len(columns) - inputs["attention_mask"].sum(1)
    ) + prompt  # rows are padded on the left
    labels = inputs["input_ids"].masked_fill(columns < begins[:, None], -100)
    sharing = SharedPrefix(FastPath.require)
    for add in (ScoringHead(sharing=sharing).add_to, add_fused_lm_head):
        own = copy.deepcopy(model)
        add(own, outputs=OUTPUTS)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
            scored = own(**inputs, labels=labels, fused_lm_head=True)
        wanted = scored.label_mask
        scored.log_probs[wanted].float().mean().backward()
        grad = own.get_output_embeddings().weight.grad
        found.append((scored.log_probs[wanted].float(), grad))
    (mine, mine_grad), (theirs, theirs_grad) = found
    assert sharing.measured()["speed/images_saved"] > 0
    apart = (mine - theirs).abs()
    assert apart.mean() < 0.05
    assert apart.max() < 0.3
    largest = theirs_grad.abs().max().item()
    torch.testing.assert_close(mine_grad, theirs_grad, rtol=0, atol=5e-2 * largest)


def generated(model, inputs, **more):
    """What a model samples behind the prompts, and the logits that it sampled from."""
    torch.manual_seed(0)
    return model.generate(
        **inputs,
        do_sample=True,
        top_k=0,
        top_p=1.0,
        max_new_tokens=8,
        min_new_tokens=8,
        return_dict_in_generate=True,
        output_logits=True,
        **more,
    )


def test_sampling_and_scoring_are_of_one_distribution(loaded):
    """Token by token with a cache, against one pass over all."""
    model, processor = copy.deepcopy(loaded[0]), loaded[1]
    ScoringHead(processor.forbidden_ids).add_to(model)
    inputs = asked(processor)
    with torch.no_grad():
        drawn = generated(model, inputs)
        start = inputs["input_ids"].size(1)
        written = drawn.sequences[:, start:]
        steps = [torch.log_softmax(step.float(), -1) for step in drawn.logits]
        sampled = torch.stack(steps, 1).gather(-1, written[..., None])[..., 0]
        ones = torch.ones_like(written)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], ones], 1)
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], 0 * ones], 1)
        inputs["input_ids"] = drawn.sequences
        scored = model(**inputs, labels=labels_of(inputs, start), fused_lm_head=True).log_probs
    apart = (scored[:, -written.size(1) :].float() - sampled).abs()
    assert sampled.mean() < -1
    assert apart.mean() < 0.05
    assert apart.max() < 0.3


def test_forbidden_ids_are_not_written(loaded):
    model, processor = copy.deepcopy(loaded[0]), loaded[1]
    forbidden = set(processor.forbidden_ids)
    head = model.get_output_embeddings()
    lifted = torch.zeros(ROWS, device=DEVICE, dtype=torch.bfloat16)
    lifted[list(forbidden)] = 50.0
    plain = head.forward
    head.forward = lambda hidden: plain(hidden) + lifted
    inputs = asked(processor)
    start = inputs["input_ids"].size(1)
    with torch.no_grad():
        tempted = generated(model, inputs).sequences[:, start:]
        assert set(tempted.flatten().tolist()) <= forbidden
        ScoringHead(processor.forbidden_ids).add_to(model)
        held = generated(model, inputs).sequences[:, start:]
    assert not set(held.flatten().tolist()) & forbidden


@pytest.mark.thorough
def test_a_resumed_run_ends_at_the_same_weights(tmp_path):
    machine = ["hardware=local"] if DEVICE == "cuda" else ["hardware.precision=bf16"]
    run_dir = tmp_path / "run"
    sizes = ["stage.global_batch=4", "data.train.limit=16"]
    steps = ["stage.args.max_steps=4", "stage.args.save_steps=2", "stage.keep_checkpoints=2"]
    words = ["stage=sft", *machine, "hardware.processes_per_node=1", *sizes, *steps]
    sgg_ok(*words, f"paths.run_dir={run_dir}", cwd=tmp_path)
    weights = run_dir / "model" / "model.safetensors"
    whole = load_file(weights)
    shutil.rmtree(run_dir / "model")
    shutil.rmtree(run_dir / "checkpoint-4")
    start = load_file(run_dir / "checkpoint-2" / "model.safetensors")
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    resumed = load_file(weights)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not all(torch.equal(start[name], whole[name]) for name in whole)
