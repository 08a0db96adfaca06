"""Real vLLM beside transformers on this machine, with the tiny models of all families."""

import json
import signal
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import command, environment, sgg, sgg_ok
from narrow_models import tempt
from PIL import Image

from sgg.config.model import Family, LoraConfig, ModelConfig
from sgg.inference.generate import Batch, Completion, Request, Sampling
from sgg.inference.hf import HfEngine
from sgg.inference.requests import completion_seed, resized
from sgg.inference.vllm.engine import VllmEngine
from sgg.inference.vllm.limits import EngineLimits
from sgg.models.families import FAMILIES as RECORDS
from sgg.models.load import load_model
from sgg.models.narrow import narrow_folder
from sgg.models.processor import load_processor
from sgg.models.vllm_folder import write_for_vllm
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
FAMILIES = list(Family.__members__)
OFTEN = [pytest.param(f, marks=pytest.mark.thorough if f != "qwen2_5_vl" else []) for f in FAMILIES]
PIXELS = 3136, 12544
GREEDY = Sampling(max_new_tokens=48)
ROOM = EngineLimits(in_flight=16, max_length=1024, gpu_memory_utilization=0.5, gpu=False)
TIE = 1e-3


def images_of(count):
    """Coloured blocks in images of many sizes: too small, too large, and as the model wants them."""
    random = np.random.default_rng(0)
    for _ in range(count):
        blocks = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        width, height = (int(side) for side in random.integers(30, 400, 2))
        yield Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)


IMAGES = list(images_of(50))


def batches(size, completions=1, images=IMAGES):
    requests = [Request(f"image-{i}", messages(BRIEF, ""), image) for i, image in enumerate(images)]
    for start in range(0, len(requests), size):
        part = requests[start : start + size]
        yield Batch(start, part, {(r.image_id, k) for r in part for k in range(completions)})


class Both:
    """The two engines on one model."""

    def __init__(self, model, source, folder):
        self.processor = load_processor(source, *PIXELS)
        self.model = load_model(model, source, torch.float32, seed=0)
        write_for_vllm(model, source, self.processor, torch.float32, 0, folder)
        self.vllm = VllmEngine(folder, self.processor, GREEDY, torch.float32, ROOM)

    def hf_completions(self, sampling=GREEDY, size=10, images=IMAGES):
        engine = HfEngine(self.model, self.processor, sampling, size)
        return dict(engine.completions(batches(size, sampling.completions, images)))

    def vllm_completions(self, sampling=GREEDY, images=IMAGES):
        self.vllm._sampling = sampling
        return dict(self.vllm.completions(batches(1, sampling.completions, images)))

    def gap(self, image, prefix, one, other):
        """How far apart transformers' logits of two tokens are after a prefix of a completion."""
        chat = self.processor.apply_chat_template(
            messages(BRIEF, ""), tokenize=False, add_generation_prompt=True
        )
        inputs = self.processor(text=[chat], images=[[image]], return_tensors="pt")
        ids = torch.cat([inputs["input_ids"], torch.tensor([prefix], dtype=torch.long)], dim=1)
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = (ids == self.processor.image_token_id).int()
        with torch.inference_mode():
            logits = self.model(**inputs).logits[0, -1]
        return abs(float(logits[one] - logits[other]))


@pytest.fixture(scope="module", params=FAMILIES)
def both(request, tmp_path_factory):
    """An engine of each kind on the family's shipped base."""
    model = ModelConfig(path=f"tiny_{request.param}", family=Family[request.param])
    folder = tmp_path_factory.mktemp("vllm") / "served"
    engines = Both(model, locate(model.path), folder)
    yield engines
    engines.vllm.close()


@pytest.fixture
def token_ids(monkeypatch):
    """Let completions carry their token ids, the end included, in the place of the text."""

    def as_ids(ids, ends, tokenizer):
        end = next((i + 1 for i, token in enumerate(ids) if token in ends), len(ids))
        return Completion(json.dumps(ids[:end]), end, truncated=ids[end - 1] not in ends)

    monkeypatch.setattr("sgg.inference.hf.completion_of", as_ids)
    monkeypatch.setattr("sgg.inference.vllm.engine.completion_of", as_ids)


def test_greedy_completions_are_transformers_token_for_token(both, token_ids):
    theirs, ours = both.hf_completions(), both.vllm_completions()
    assert ours.keys() == theirs.keys()
    assert len({c.text for c in theirs.values()}) > 25  # they look at the images
    for key in theirs:
        one, other = json.loads(theirs[key].text), json.loads(ours[key].text)
        if one != other:
            place = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            image = IMAGES[int(key[0].split("-")[1])]
            assert both.gap(image, one[:place], one[place], other[place]) < TIE
        else:
            assert ours[key] == theirs[key]


def test_images_reach_the_model_with_the_pixels_of_training(both):
    from vllm.transformers_utils.processor import cached_processor_from_config

    theirs = cached_processor_from_config(both.vllm.llm.model_config).image_processor
    for image in IMAGES:
        expected = both.processor.image_processor(images=[image], return_tensors="pt")
        seen = theirs(images=[resized(image, both.processor)], return_tensors="pt")
        assert torch.equal(seen["image_grid_thw"], expected["image_grid_thw"])
        torch.testing.assert_close(
            seen["pixel_values"], expected["pixel_values"], rtol=0, atol=1e-5
        )


def test_a_sampled_completion_hangs_on_seed_image_and_number_alone(both):
    warm = replace(GREEDY, temperature=1.0, completions=3)
    images = IMAGES[:20]
    all_at_once = both.vllm_completions(warm, images)
    assert len({c.text for c in all_at_once.values()}) > 50
    both.vllm._sampling = warm
    # what a killed run has left: some completions, here in another order
    left = [
        replace(batch, missing={key for key in batch.missing if key[1] != 1})
        for batch in reversed(list(batches(1, 3, images)))
    ]
    again = dict(both.vllm.completions(iter(left)))
    assert again == {key: c for key, c in all_at_once.items() if key[1] != 1}
    other = both.vllm_completions(replace(warm, seed=1), images)
    assert sum(other[key] == all_at_once[key] for key in other) < 20


def test_seeds_differ():
    seeds = {
        completion_seed(s, (f"i{i}", k)) for s in range(3) for i in range(30) for k in range(3)
    }
    assert len(seeds) == 270
    assert 0 <= min(seeds) <= max(seeds) < 2**63


def saved(model, folder):
    """A changed model and the base's processor, as a folder that model.path may name."""
    model.save_pretrained(folder)
    load_processor(locate("tiny_qwen2_vl"), *PIXELS).save_pretrained(folder)
    return folder


def test_tokens_that_stand_for_images_are_never_sampled(tmp_path, token_ids):
    """With logits this flat every token is about as likely: one in 300 would be such a one."""
    config = ModelConfig(path="tiny_qwen2_vl", family=Family.qwen2_vl)
    flat = load_model(config, locate(config.path), torch.float32, 0)
    with torch.no_grad():
        flat.model.language_model.norm.weight.mul_(1e-4)
    engines = Both(config, saved(flat, tmp_path / "flat"), tmp_path / "served")
    warm = replace(GREEDY, temperature=1.0, max_new_tokens=100)
    processor = engines.processor
    forbidden = set(processor.forbidden_ids)
    for completions in (engines.hf_completions(warm), engines.vllm_completions(warm)):
        sampled = {key: json.loads(c.text) for key, c in completions.items()}
        assert sum(map(len, sampled.values())) > 3000
        assert not forbidden & {i for ids in sampled.values() for i in ids}
    engines.vllm.close()


def test_ids_without_a_token_are_never_sampled(tmp_path, token_ids):
    """Though the head prefers them; the true vocabulary has 271 of them."""
    narrow = narrow_folder(RECORDS[Family.qwen2_5_vl], tmp_path / "narrow")
    unused = tempt(narrow, tmp_path / "tempting")
    config = ModelConfig(path=str(tmp_path / "tempting"), family=Family.qwen2_5_vl)
    engines = Both(config, tmp_path / "tempting", tmp_path / "served")
    warm = replace(GREEDY, temperature=1.0, max_new_tokens=16)
    for sampling in (replace(GREEDY, max_new_tokens=16), warm):
        theirs = engines.hf_completions(sampling, images=IMAGES[:4])
        ours = engines.vllm_completions(sampling, images=IMAGES[:4])
        for completions in (theirs, ours):
            sampled = {i for c in completions.values() for i in json.loads(c.text)}
            assert len(sampled) > 1
            assert not sampled & unused
        assert sampling is warm or ours == theirs
    engines.vllm.close()


@pytest.mark.thorough
def test_an_adapter_is_served_with_its_base(tmp_path):
    model = ModelConfig(path="tiny_qwen2_vl", family=Family.qwen2_vl)
    adapter = load_model(
        replace(model, lora=LoraConfig(enable=True, r=2)), locate(model.path), torch.float32, 0
    )
    with torch.no_grad():
        for name, parameter in adapter.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    engines = Both(model, saved(adapter, tmp_path / "adapter"), tmp_path / "served")
    images = IMAGES[:10]
    assert engines.vllm_completions(images=images) == engines.hf_completions(images=images)
    engines.vllm.close()


EVAL = ["stage=eval", "generate.max_new_tokens=40", "hardware.threads=1"]


@pytest.mark.parametrize("family", OFTEN)
def test_metrics_are_those_of_transformers(family, tmp_path):
    metrics = {}
    for engine in ("hf", "vllm"):
        run_dir = tmp_path / engine
        words = [*EVAL, f"model=tiny_{family}", "data.eval.limit=60", f"paths.run_dir={run_dir}"]
        sgg_ok(*words, f"generate={engine}", cwd=tmp_path)
        metrics[engine] = json.loads((run_dir / "metrics.json").read_text())
        del metrics[engine]["made_from"]["config_sha256"]  # of the two, which engine
    assert metrics["vllm"] == metrics["hf"]
    assert not (tmp_path / "vllm" / "vllm_model").exists()


SAMPLED = [
    *EVAL,
    "generate=vllm",
    "generate.temperature=1",
    "generate.batch_size=16",
    "data.eval.limit=500",
]


def lines(path):
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def killed(run_dir, words, after):
    """Run until `after` completions are written, kill, and return what is written then."""
    part = run_dir / "completions.parts" / "rank0.jsonl"
    cwd = run_dir.parent
    child = subprocess.Popen(
        command(*words), cwd=cwd, env=environment(cwd), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while len(lines(part)) < after:
        assert child.poll() is None, child.stderr.read()[-3000:]
        assert time.monotonic() < deadline, "the run does not get there"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return lines(part)


@pytest.mark.thorough
def test_an_evaluation_killed_three_times_ends_with_the_same_file(tmp_path):
    whole, run_dir = tmp_path / "whole", tmp_path / "killed"
    sgg_ok(*SAMPLED, f"paths.run_dir={whole}", cwd=tmp_path)
    written = killed(run_dir, [*SAMPLED, f"paths.run_dir={run_dir}"], 20)
    for more in (150, 150):
        resumed = killed(run_dir, ["resume", str(run_dir)], len(written) + more)
        assert resumed[: len(written)] == written
        written = resumed
    assert len(written) < 500
    sgg_ok("resume", str(run_dir), cwd=tmp_path)
    part = lines(run_dir / "completions.parts" / "rank0.jsonl")
    assert part[: len(written)] == written  # nothing was generated twice
    assert len(part) == 500
    assert (run_dir / "completions.jsonl").read_bytes() == (
        whole / "completions.jsonl"
    ).read_bytes()


@pytest.mark.thorough
def test_two_processes_share_the_images(tmp_path):
    completions = []
    for processes in (1, 2):
        run_dir = tmp_path / str(processes)
        sgg_ok(
            *EVAL,
            *("generate=vllm", "generate.temperature=1", "generate.num_completions=2"),
            *("data.eval.limit=30", f"hardware.processes_per_node={processes}"),
            f"paths.run_dir={run_dir}",
            cwd=tmp_path,
        )
        completions.append((run_dir / "completions.jsonl").read_bytes())
    assert completions[0] == completions[1]
    parts = [lines(tmp_path / "2" / "completions.parts" / f"rank{r}.jsonl") for r in (0, 1)]
    assert [len(part) for part in parts] == [30, 30]


def test_a_prompt_without_room_for_the_completion_is_told(tmp_path):
    words = [*EVAL, "generate=vllm", "hardware.rollout.max_length=60", "data.eval.limit=4"]
    done = sgg(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "generate.max_new_tokens=40 are more than 60 (hardware.rollout.max_length=60" in (
        done.stderr
    )
    assert "Traceback" not in done.stderr


def test_too_little_memory_is_told(tmp_path):
    words = [*EVAL, "generate=vllm", "data.eval.limit=4"]
    done = sgg(*words, cwd=tmp_path, VLLM_CPU_KVCACHE_SPACE="100000")
    assert done.returncode == 2
    assert "vLLM has too little memory with VLLM_CPU_KVCACHE_SPACE=100000" in done.stderr
    assert "Traceback" not in done.stderr
