"""A grammar that nothing would apply is refused with a message that names key, value and the way out."""

import pytest
from configs import check

from sgg.config.frozen import read_frozen, write_frozen
from sgg.config.grammar import GrammarNames
from sgg.errors import SggError
from sgg.models.spec import completion_grammar

EVAL = ["grammar=bounded", "stage=eval", "generate=vllm"]
GRPO = ["grammar=bounded", "stage=grpo", "model=qwen2_vl_7b", "hardware=h100"]


def test_an_evaluation_by_vllm_may_be_structured(tmp_path):
    config = check([*EVAL, "grammar.max_objects=5", "grammar.names=vocabulary"])
    assert completion_grammar(config).vocabulary.name == "shapes"
    write_frozen(config, tmp_path / "config.yaml")
    assert read_frozen(tmp_path / "config.yaml").grammar == config.grammar
    assert config.grammar.max_objects == 5
    assert config.grammar.names is GrammarNames.vocabulary


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_grpo_by_vllm_may_be_structured(mode):
    check([*GRPO, f"hardware.rollout.mode={mode}", *SERVING[mode]])


SERVING = {"colocate": [], "server": ["hardware.rollout.nodes=1"]}


def test_names_are_those_of_the_prompt_unless_told_otherwise():
    assert completion_grammar(check([*EVAL, "prompt=open"])).vocabulary is None
    assert completion_grammar(check([*EVAL, "prompt=closed"])).vocabulary.name == "shapes"
    assert completion_grammar(check(["stage=eval"])) is None
    assert completion_grammar(check([*EVAL, "grammar=null"])) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grammar=bounded", "stage=sft"], "stage=sft generates none. Take grammar=null"),
        ([*EVAL, "generate=hf"], "generate.engine=hf: only vLLM"),
        (
            [*EVAL, "generate=server", "generate.servers=[http://127.0.0.1:8000]"],
            "generate.engine=server: only vLLM in the run's own processes",
        ),
        (
            [*GRPO, "hardware.rollout.mode=trainer"],
            "Take hardware.rollout.mode=colocate or server, or grammar=null",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "stage.args.vllm_structured_outputs_regex=a"],
            "stage.args.vllm_structured_outputs_regex: follows from other keys; set grammar instead",
        ),
        (
            [
                *GRPO,
                "hardware.rollout.mode=colocate",
                "stage.args.generation_kwargs={structured_outputs: {regex: a}}",
            ],
            "grammar holds completions to a form",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "deepspeed=zero3"],
            "deepspeed.zero_optimization.stage=3 shares them out. Take deepspeed=zero2",
        ),
        (
            [*GRPO, "hardware.rollout.mode=colocate", "deepspeed=null", "fsdp=full_shard"],
            "and fsdp shares them out",
        ),
        ([*EVAL, "grammar.max_objects=0"], "grammar.max_objects=0: must be 1 or more"),
        ([*EVAL, "grammar.max_thought=-1"], "grammar.max_thought=-1: must be 0 or more"),
        ([*EVAL, "grammar.max_letters=60"], "max_words=3, max_letters=60: names could be longer"),
        (
            [*EVAL, "grammar.names=vocabulary", "data=jsonl", "data.root=somewhere"],
            "grammar.names=vocabulary, but data.vocabulary=none",
        ),
    ],
)
def test_what_cannot_be_is_told(words, message):
    with pytest.raises(SggError) as told:
        check(words)
    assert message in str(told.value)
