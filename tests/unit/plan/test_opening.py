"""The line that a run begins with: its counts are the loaded model's and the prepared data's."""

import json

import pytest
from safetensors.torch import save_file

from sgg.config.compose import compose_config
from sgg.config.model import Family
from sgg.data.prepare import prepare
from sgg.errors import SggError
from sgg.models.weights import locate, parameters
from sgg.plan.batch import steps_of
from sgg.plan.opening import opening
from sgg.plan.presence import Preflight
from sgg.runs.open_run import open_run


def config_of(tmp_path, *words):
    return compose_config([*words, f"paths.cache={tmp_path}/cache"])


def line(number, side=90):
    objects = [{"id": "man.1", "bbox": [1, 2, 30, 40]}, {"id": "dog.1", "bbox": [5, 6, 40, 50]}]
    relation = {"subject": "man.1", "predicate": "on", "object": "dog.1"}
    sizes = {"image": f"{number}.png", "width": side, "height": side}
    return json.dumps(sizes | {"objects": objects, "relationships": [relation]})


@pytest.fixture
def own_data(tmp_path):
    """Words for twelve annotated images, one of them without a size."""
    lines = [*map(line, range(11)), line(11, side=0)]
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines) + "\n")
    return ["data=jsonl", f"data.root={tmp_path}", "data.image_source=painted"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["stage=sft"],
            "sft: model tiny_qwen2_5_vl (1.61 million parameters); data=shapes (train 6,400 usable images, "
            "eval 800 usable images); 400 steps of 16 images; 1 CPU process, fp32",
        ),
        (
            ["stage=grpo", "model.init=random", "data.train.limit=99", "stage.args.max_steps=-1"],
            "grpo: model tiny_qwen2_5_vl from random weights (1.61 million parameters); data=shapes "
            "(train 99 usable images, eval 800 usable images); 6 steps of 128 completions; 1 CPU process, "
            "fp32",
        ),
        (
            ["stage=eval", "generate=sampled", "generate.num_completions=2"],
            "eval: model tiny_qwen2_5_vl (1.61 million parameters); data=shapes (train 20,000 usable images, "
            "eval 800 usable images); 2 completions for each eval image, 1,600 in all; 1 CPU process, fp32, "
            "generate=hf",
        ),
    ],
)
def test_the_line_says_model_data_length_and_machine(words, told, tmp_path):
    assert opening(config_of(tmp_path, *words)) == told
    assert not (tmp_path / "cache").exists()


def test_adapters_servers_and_nodes_are_said_and_what_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    words = ["experiment=grpo_7b", "hardware=a100", "hardware.nodes=2", "model.lora.enable=true"]
    assert opening(config_of(tmp_path, *words, "model.path=no/such")) == (
        "grpo: model no/such (weights not here yet, parameters unknown, LoRA of rank 16); data=vg150 (train "
        "not prepared yet, eval not prepared yet); epochs: 1, in steps of 256 completions; 8 GPUs on 2 "
        "nodes, bf16, completions by vLLM (colocate)"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stage=sft"], ""),
        (
            ["stage=sft", "stage.evaluate.every_steps=200"],
            "evaluated every 200 steps on the first 200 images of data.eval by transformers "
            "(protocol shapes)",
        ),
        (
            [
                *("stage=grpo", "hardware.rollout.mode=server", "stage.evaluate.every_steps=50"),
                *(
                    "stage.evaluate.keep_best=R@50",
                    "stage.evaluate.patience=4",
                    "data.eval.limit=80",
                ),
            ],
            "evaluated every 50 steps on the first 80 images of data.eval by the rollouts' vLLM (protocol "
            "shapes), best checkpoint by R@50 kept, ends after 4 without a gain",
        ),
        (
            [
                *("stage=grpo", "hardware.rollout.mode=colocate", "stage.evaluate.every_steps=50"),
                *("stage.evaluate.engine=hf", "stage.evaluate.images=1000"),
            ],
            "evaluated every 50 steps on the first 800 images of data.eval by transformers "
            "(protocol shapes)",
        ),
    ],
)
def test_the_line_says_how_a_training_is_evaluated(words, told, tmp_path):
    said = opening(config_of(tmp_path, *words)).split("; ")
    assert [part for part in said if part.startswith("evaluated")] == [told] * bool(told)


def test_usable_images_are_those_that_were_prepared(own_data, tmp_path):
    config = config_of(tmp_path, "stage=sft", *own_data, "data.eval.limit=3")
    where = f"data=jsonl in {tmp_path}"
    assert f"{where} (train not prepared yet, eval not prepared yet); epochs: 1, in" in opening(
        config
    )
    prepare(config.data, "train", tmp_path / "cache", quiet=True)
    told = f"{where} (train 11 usable images, eval not prepared yet); 1 steps of 11 images, all there are "
    told += "(stage.global_batch=16)"
    assert told in opening(config)
    assert f"{where} (train 11 usable images, eval 3 usable images)" in opening(config, {"eval": 3})


def test_fewer_images_than_prompts_are_refused_once_their_number_is_known(own_data, tmp_path):
    config = config_of(tmp_path, "stage=grpo", *own_data)
    assert "train not prepared yet" in opening(config)
    prepare(config.data, "train", tmp_path / "cache", quiet=True)
    with pytest.raises(SggError, match=r"prompts_per_step=16, but data\.train has 11 usable"):
        opening(config)
    with pytest.raises(SggError, match=r"prompts_per_step=16, but data\.train has 11 usable"):
        Preflight().check(config, model_is_made=True)
    config.stage.prompts_per_step = 11
    Preflight().check(config, model_is_made=True)


def test_the_line_says_that_a_model_was_trained_on_other_data(own_data, tmp_path):
    run_dir = tmp_path / "run"
    open_run(config_of(tmp_path, "stage=sft", *own_data, f"paths.run_dir={run_dir}"))
    for place in (run_dir, run_dir / "checkpoint-5"):
        told = opening(config_of(tmp_path, "stage=eval", f"model.path={place}"))
        assert ", trained on data=jsonl); data=shapes" in told
        told = opening(config_of(tmp_path, "stage=eval", f"model.path={place}", *own_data))
        assert "trained on" not in told


@pytest.mark.parametrize("name", [f"tiny_{family}" for family in Family.__members__])
def test_parameters_of_the_files_are_those_of_the_loaded_model(name):
    from transformers import AutoModelForImageTextToText

    loaded = AutoModelForImageTextToText.from_pretrained(locate(name))
    assert parameters(locate(name)) == sum(p.numel() for p in loaded.parameters())


def test_parameters_of_an_adapter_are_its_own_and_those_below(tmp_path):
    import torch

    below = {"base_model_name_or_path": str(locate("tiny_qwen2_vl"))}
    (tmp_path / "adapter_config.json").write_text(json.dumps(below))
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7)}, tmp_path / "adapter_model.safetensors")
    assert parameters(tmp_path) == parameters(locate("tiny_qwen2_vl")) + 22


@pytest.mark.parametrize(
    ("args", "images", "leaves_rest", "steps"),
    [
        ({"max_steps": 7, "num_train_epochs": 2}, None, False, 7),
        ({"num_train_epochs": 2}, None, False, None),
        ({"num_train_epochs": 2}, 25, False, 14),
        ({"num_train_epochs": 2}, 25, True, 12),
        ({"num_train_epochs": 2, "num_iterations": 3}, 25, True, 36),
        ({"num_train_epochs": 0.5}, 25, False, 4),
        ({}, 3, False, 3),
    ],
)
def test_steps(args, images, leaves_rest, steps):
    assert steps_of(args, images, 4, leaves_rest) == steps
