"""Structured answers that nobody would hold are refused in words, naming key, value and the way out."""

import pytest
from configs import check
from sgg.config.answer_grammar import StructureNames

from sgg.config.frozen import read_frozen, write_frozen
from sgg.errors import SggError
from sgg.spec import answer_grammar

EVAL = ["structure=bounded", "stage=eval", "generate=vllm"]
GRPO = ["structure=bounded", "stage=grpo", "model=qwen2_vl_7b", "hardware=h100"]


def test_an_evaluation_by_vllm_may_be_structured(tmp_path):
    config = check([*EVAL, "structure.max_objects=5", "structure.names=vocabulary"])
    assert answer_grammar(config).vocabulary.name == "shapes"
    write_frozen(config, tmp_path / "config.yaml")
    assert read_frozen(tmp_path / "config.yaml").answer_grammar == config.answer_grammar
    assert config.answer_grammar.max_objects == 5
    assert config.answer_grammar.names is StructureNames.vocabulary


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_grpo_by_vllm_may_be_structured(mode):
    check([*GRPO, f"hardware.rollout.mode={mode}", *SERVING[mode]])


SERVING = {"colocate": [], "server": ["hardware.rollout.nodes=1"]}


def test_names_are_those_of_the_prompt_unless_told_otherwise():
    assert answer_grammar(check([*EVAL, "prompt=open"])).vocabulary is None
    assert answer_grammar(check([*EVAL, "prompt=closed"])).vocabulary.name == "shapes"
    assert answer_grammar(check(["stage=eval"])) is None
    assert answer_grammar(check([*EVAL, "structure=null"])) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["structure=bounded", "stage=sft"], "stage=sft generates none. Take structure=null"),
        ([*EVAL, "generate=hf"], "generate.engine=hf: only vLLM"),
        (
            [*EVAL, "generate=server", "generate.servers=[http://127.0.0.1:8000]"],
            "generate.engine=server: only vLLM in the run's own processes",
        ),
        (
            [*GRPO, "hardware.rollout.mode=trainer"],
            "Take hardware.rollout.mode=colocate or server, or structure=null",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "stage.args.vllm_structured_outputs_regex=a"],
            "stage.args.vllm_structured_outputs_regex: follows from other keys; set structure instead",
        ),
        (
            [
                *GRPO,
                "hardware.rollout.mode=colocate",
                "stage.args.generation_kwargs={structured_outputs: {regex: a}}",
            ],
            "structure holds answers to a form",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "deepspeed=zero3"],
            "deepspeed.zero_optimization.stage=3 shares them out. Take deepspeed=zero2",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "deepspeed=null", "fsdp=full_shard"],
            "and fsdp shares them out",
        ),
        ([*EVAL, "structure.max_objects=0"], "structure.max_objects=0: must be 1 or more"),
        ([*EVAL, "structure.max_thought=-1"], "structure.max_thought=-1: must be 0 or more"),
        ([*EVAL, "structure.max_letters=60"], "max_words=3, max_letters=60: names could be longer"),
        (
            [*EVAL, "structure.names=vocabulary", "data=jsonl", "data.root=somewhere"],
            "structure.names=vocabulary, but data.vocabulary=none",
        ),
    ],
)
def test_what_cannot_be_is_told(words, message):
    with pytest.raises(SggError) as told:
        check(words)
    assert message in str(told.value)
