"""What a resumed run loads, adapter by adapter, and that it does not begin with anything else."""

import json
import shutil

import pytest
import torch
from commands import sgg, sgg_ok
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainingArguments

from sgg.config.model import Family, LoraConfig, ModelConfig
from sgg.errors import SggError
from sgg.models.load import load_adapters, load_model
from sgg.models.weights import locate
from sgg.runs.checkpoint import mark_complete
from sgg.train.checksums import RECORD
from sgg.train.loop import AtomicCheckpoints

pytestmark = pytest.mark.slow


class Resumed(AtomicCheckpoints, Trainer):
    pass


def adapted(seed=0):
    """A model with an adapter and its copy `ref`, which TRL adds where beta > 0."""
    config = ModelConfig(
        path="tiny_qwen2_5_vl", family=Family.qwen2_5_vl, lora=LoraConfig(enable=True, r=2)
    )
    model = load_model(config, locate("tiny_qwen2_5_vl"), torch.float32, seed)
    model.add_adapter("ref", model.peft_config["default"])
    for name, weight in model.named_parameters():
        if ".default." in name:
            model.get_parameter(name.replace(".default.", ".ref.")).data.copy_(weight.data)
    return model


def of(model, adapter):
    return {n: p.detach().clone() for n, p in model.named_parameters() if f".{adapter}." in n}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of a trained adapter, and the model that it is of."""
    folder, model = tmp_path_factory.mktemp("trained") / "checkpoint-3", adapted()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B.default." in name:
                weight.fill_(0.5)
    model.save_pretrained(folder)
    return folder, model


def test_the_trained_adapter_and_the_reference_each_come_back(trained, tmp_path):
    """Another seed: whatever the checkpoint does not fill would differ."""
    folder, model = trained
    fresh = adapted(seed=1)
    assert not same(of(fresh, "default"), of(model, "default"))
    assert not same(of(fresh, "ref"), of(model, "ref"))
    args = TrainingArguments(str(tmp_path / "out"), report_to="none", use_cpu=True)
    Resumed(keep_checkpoints=2, model=fresh, args=args)._load_from_checkpoint(str(folder))
    assert same(of(fresh, "default"), of(model, "default"))
    assert same(of(fresh, "ref"), of(model, "ref"))
    assert not same(of(fresh, "ref"), of(fresh, "default"))  # the start, not what was learnt
    assert fresh.active_adapter == "default"
    learning = {n for n, p in fresh.named_parameters() if p.requires_grad}
    assert learning == of(fresh, "default").keys()


def test_an_adapter_that_is_missing_is_said(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint-3")
    shutil.rmtree(folder / "ref")
    with pytest.raises(SggError, match="holds no weights of the adapter 'ref'"):
        load_adapters(adapted(), folder)


def test_an_adapter_of_other_layers_is_said(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint-3")
    file = folder / "adapter_model.safetensors"
    held = load_file(file)
    held.pop(next(iter(held)))
    save_file(held, file)
    with pytest.raises(SggError, match=r"other layers than model\.lora\.targets makes: 1 tensors"):
        load_adapters(adapted(), folder)


def test_a_checkpoint_with_a_reference_is_started_from_by_what_was_learnt(trained, tmp_path):
    """`model.path=RUN` of a stopped run: evaluation and the next stage take `default`."""
    folder, _ = trained
    config = ModelConfig(path=str(folder), family=Family.qwen2_5_vl)
    loaded = load_model(config, folder, torch.float32, 0).state_dict()
    alone = shutil.copytree(folder, tmp_path / "alone")
    shutil.rmtree(alone / "ref")
    expected = load_model(config, alone, torch.float32, 0).state_dict()
    base = load_model(config, locate("tiny_qwen2_5_vl"), torch.float32, 0).state_dict()
    assert same(loaded, expected)
    assert not same(loaded, base)


WORDS = [
    *("stage=grpo", "stage.prompts_per_step=2", "stage.micro_batch=2", "data.train.limit=12"),
    *("stage.args.num_generations=4", "stage.args.max_completion_length=8", "stage.args.beta=0.1"),
    *("reward.terms.length.weight=1", "reward.terms.length.options.free_chars=0"),
    *("reward.terms.length.options.limit_chars=50", "stage.args.learning_rate=1e-2"),
    *("model.lora.enable=true", "model.lora.r=2", "stage.optimizer.kind=trl"),
    *("hardware.threads=1", "stage.args.max_steps=2", "stage.args.save_steps=1"),
]


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """A run that lost its final model and its last checkpoint, and the folder that it started from."""
    folder = tmp_path_factory.mktemp("unfinished")
    shutil.copytree(locate("tiny_qwen2_5_vl"), folder / "start")
    sgg_ok(*WORDS, f"model.path={folder / 'start'}", f"paths.run_dir={folder / 'run'}", cwd=folder)
    shutil.rmtree(folder / "run" / "model")
    shutil.rmtree(folder / "run" / "checkpoint-2")
    return folder


def spoil(file, part):
    """Add 1 to a tensor of a weight file."""
    held = load_file(file)
    name = next(n for n in sorted(held) if part in n)
    held[name] = held[name] + 1
    save_file(held, file, metadata={"format": "pt"})


def refused(folder, run_dir):
    done = sgg("resume", str(run_dir), cwd=folder)
    assert done.returncode == 2, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert not (run_dir / "model").exists()
    return done.stderr


def test_what_was_loaded_but_not_saved_is_refused(unfinished, tmp_path):
    """A file that fits its marker, but is not of the weights that were trained."""
    run_dir = shutil.copytree(unfinished / "run", tmp_path / "run")
    checkpoint = run_dir / "checkpoint-1"
    spoil(checkpoint / "adapter_model.safetensors", "lora_B")
    mark_complete(checkpoint)
    stderr = refused(unfinished, run_dir)
    assert f"{checkpoint}: what was loaded is not what was saved" in stderr
    assert "the adapter 'default': 1 of " in stderr
    assert "Remove this checkpoint to resume from the one before it" in stderr


def test_a_start_that_has_changed_since_is_refused(unfinished, tmp_path):
    run_dir = shutil.copytree(unfinished / "run", tmp_path / "run")
    file = unfinished / "start" / "model.safetensors"
    before = file.read_bytes()
    spoil(file, "embed_tokens")
    try:
        stderr = refused(unfinished, run_dir)
    finally:
        file.write_bytes(before)
    assert "the base below the adapter: 1 of " in stderr
    assert f"model.path={unfinished / 'start'} must hold what it held when the run began" in stderr


def test_a_checkpoint_of_before_there_were_checksums_is_resumed_from(unfinished, tmp_path):
    run_dir = shutil.copytree(unfinished / "run", tmp_path / "run")
    checkpoint = run_dir / "checkpoint-1"
    (checkpoint / RECORD).unlink()
    mark_complete(checkpoint)
    sgg_ok("resume", str(run_dir), cwd=unfinished)
    said = (run_dir / "run.log").read_text()
    assert said.count("checkpoint-1 was saved by a version that wrote no checksums") == 1
    assert json.loads((run_dir / "checkpoint-2" / RECORD).read_text()).keys() == {
        "the adapter 'default'",
        "the adapter 'ref'",
        "the base below the adapter",
        "the optimiser",
    }
