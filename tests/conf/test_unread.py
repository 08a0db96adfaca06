"""Overrides that nothing reads are refused or reported: every key is classified, and each kind tested."""

import re
import shlex
from dataclasses import is_dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from configs import options
from omegaconf import OmegaConf

from launchers.hydra_plugins import refuse_unread_by_hydra
from launchers.sweep.points import compose_points
from sgg.config.compose import Composer, compose_config
from sgg.config.literal import field_types
from sgg.config.overrides import kind_of
from sgg.config.pipeline import PipelineConfig, PipelineStep
from sgg.config.schema import Config
from sgg.config.stage import EvalConfig, GrpoConfig, SftConfig, StageConfig
from sgg.config.tree import groups
from sgg.errors import SggError
from sgg.explain.exceptions import explain
from sgg.pipeline import plan_steps
from sgg.plan.read_when import READ, TOOLS
from sgg.plan.unread import refuse_unread, refuse_unread_by
from sgg.plan.use import Use

DOCS = Path(__file__).parents[2] / "docs"


def leaves(kind=Config, above=""):
    """Every key of the schema, those of all stages among them."""
    for name in field_types(kind):
        key = f"{above}{name}"
        inner = kind_of(key)
        stages = (SftConfig, GrpoConfig, EvalConfig) if inner is StageConfig else (inner,)
        for part in stages:
            if isinstance(part, type) and is_dataclass(part):
                yield from leaves(part, f"{key}.")
            else:
                yield key


KEYS = sorted(set(leaves()))


def test_the_walk_finds_the_keys_of_every_stage_and_optional_group():
    assert {"stage.global_batch", "stage.split", "stage.optimizer.muon_lr"} <= set(KEYS)
    assert {"grammar.max_words", "data.eval.seed", "hardware.rollout.nodes", "seed"} <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_says_when_it_is_read(key):
    """A new key has to be classified in sgg/plan/read_when.py, or stand in a part that is read as a whole."""
    parts = key.split(".")
    wholes = {".".join(parts[:end]) + ".*" for end in range(1, len(parts) + 1)}
    assert key in READ or wholes & READ.keys()


@pytest.mark.parametrize("group", groups())
def test_every_group_says_when_it_is_read(group):
    assert group in READ


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tables_name_nothing_that_is_not_there(tool):
    named = {*READ, *TOOLS[tool]} - set(groups())
    known = {key for leaf in KEYS for key in above(leaf)}
    unknown = {
        name
        for name in named
        if not name.startswith(("hydra.", "stage.args."))
        and name.removesuffix(".*") not in known
        and kind_of(name.removesuffix(".*")) is None
    }
    assert not unknown


def above(key):
    parts = key.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


JSONL = ["data=jsonl", "data.root=somewhere"]
EVAL, GRPO, SFT = ["stage=eval"], ["stage=grpo"], ["stage=sft"]
EVALUATED = "stage.evaluate.every_steps=2"
COMPOSER = Composer()  # which keeps what a choice of options makes
COLOCATE = [*GRPO, "hardware.gpu=true", "hardware.rollout.mode=colocate"]


def judged(words, **use):
    """What is refused, with the config that these words make; empty if nothing is."""
    config = COMPOSER.compose(words)
    try:
        refuse_unread(words, [Use(config, **use)])
    except SggError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("word", "for_nothing", "heeded"),
    [  # a word, words with which nothing reads it, words with which it is read
        ("data.root=DIR", SFT, ["data=jsonl"]),
        ("data.root=DIR", SFT, ["data=vg150"]),
        ("data.image_folder=DIR", SFT, JSONL),
        ("data.image_folder=DIR", [*JSONL, "data.image_source=painted"], JSONL),
        ("data.image_source=files", SFT, JSONL),
        ("data.image_check=header", SFT, JSONL),
        ("data.train.path=x", SFT, JSONL),
        ("data.eval.path=x", ["data=vrd", "data.root=D"], JSONL),
        ("data.train.name=x", JSONL, ["data=vg150"]),
        ("data.eval.seed=3", JSONL, SFT),
        ("data.shapes.side=64", JSONL, SFT),
        ("data.shapes={side: 64}", JSONL, SFT),
        ("data.box_format=xywh", ["data=psg_raw", "data.root=D"], JSONL),
        ("data.box_format=xywh", ["data=gqa", "data.root=D"], ["data=coco", "data.root=D"]),
        ("data.box_format=xywh", ["data=vg150_raw", "data.root=D"], ["data=vg150"]),
        ("data.box_format=xywh", ["data=vrd", "data.root=D"], ["data=psg"]),
        ("data.duplicates=keep", [*EVAL, "protocol=sgbench"], [*EVAL, "protocol=sgg"]),
        ("model.lora.r=8", SFT, ["model.lora.enable=true"]),
        ("model.lora.targets=[q_proj]", GRPO, [*GRPO, "model.lora.enable=true"]),
        ("model.freeze_vision=true", EVAL, GRPO),
        ("model.revision=main", SFT, ["model=qwen2_vl_7b"]),
        ("model.attention=eager", [*EVAL, "generate=vllm"], EVAL),
        ("model.dtype=float32", [*EVAL, "generate=server"], [*EVAL, "generate=vllm"]),
        ("model.max_pixels=2000000", SFT, ["stage.max_pixels=2000000"]),
        ("stage.max_pixels=100000", SFT, ["model=qwen2_vl_7b"]),
        ("stage.optimizer.muon_lr=1", ["model=qwen2_vl_7b"], SFT),
        ("stage.args.max_steps=2", EVAL, SFT),
        ("stage.args.num_train_epochs=2", GRPO, [*GRPO, "model=qwen2_vl_7b"]),
        ("stage.args.save_steps=2", ["stage.args.save_strategy=epoch"], SFT),
        ("reward=balanced", SFT, GRPO),
        ("reward.terms.format.weight=2", EVAL, GRPO),
        ("protocol=psg_test_box", SFT, EVAL),
        ("protocol.iou_threshold=.6", GRPO, EVAL),
        ("protocol.iou_threshold=.6", GRPO, [*GRPO, EVALUATED]),
        ("generate.temperature=1", SFT, [*SFT, EVALUATED]),
        ("generate.max_new_tokens=64", SFT, [*SFT, EVALUATED]),
        ("generate.batch_size=2", GRPO, [*GRPO, EVALUATED]),
        ("stage.evaluate.images=5", SFT, [*SFT, EVALUATED]),
        ("stage.evaluate.engine=hf", SFT, [*SFT, EVALUATED]),
        ("stage.evaluate.keep_best=R@50", SFT, [*SFT, EVALUATED]),
        ("stage.evaluate.patience=2", SFT, [*SFT, EVALUATED]),
        ("generate=vllm", SFT, EVAL),
        ("generate.temperature=1", GRPO, EVAL),
        ("generate.gpu_memory_utilization=.5", EVAL, [*EVAL, "generate=vllm"]),
        ("generate.servers=['http://a:1']", EVAL, [*EVAL, "generate=server"]),
        ("generate.server_model=x", EVAL, [*EVAL, "generate=server"]),
        ("generate.api_key_env=x", [*EVAL, "generate=vllm"], [*EVAL, "generate=server"]),
        ("generate.request_timeout_s=9", EVAL, [*EVAL, "generate=server"]),
        ("generate.top_p=.9", EVAL, [*EVAL, "generate=sampled"]),
        ("generate.top_k=9", EVAL, [*EVAL, "generate.temperature=.5"]),
        (
            "grammar.max_thought=9",
            ["grammar=bounded"],
            ["grammar=bounded", "prompt=open_think"],
        ),
        ("grammar.max_words=2", ["grammar=bounded", "prompt=closed"], ["grammar=bounded"]),
        ("hardware.rollout.mode=colocate", SFT, GRPO),
        ("hardware.rollout.gpu_memory_utilization=.3", GRPO, COLOCATE),
        ("hardware.rollout.tensor_parallel=2", [*COLOCATE, "stage=sft"], COLOCATE),
        ("hardware.rollout.restarts=2", COLOCATE, [*COLOCATE, "hardware.rollout.mode=server"]),
        ("hardware.rollout.max_length=99", EVAL, [*EVAL, "generate=vllm"]),
        ("hardware.rollout.max_logp_difference=1", GRPO, COLOCATE),
        ("deepspeed=zero2", EVAL, SFT),
        ("fsdp=full_shard", EVAL, GRPO),
    ],
)
def test_a_word_that_nothing_reads_is_refused(word, for_nothing, heeded):
    key = word.partition("=")[0]
    told = judged([*for_nothing, word])
    assert "would be ignored" in told
    assert f"{key} is read" in told or f"{key}." in told
    assert "or leave" in told or "Leave" in told
    assert f"{key} is read" not in judged([*heeded, word])


def test_the_message_says_what_reads_the_key_what_is_chosen_and_the_way_out():
    assert judged(["stage=sft", "data.root=/my data"]) == (
        "'data.root=/my data' would be ignored: data.root is read with annotated data, such as data=jsonl or "
        "data=coco, and here data.source=shapes. Choose the data set by data=…, or leave data.root out."
    )
    told = judged(["stage=sft", "data.root=D", "reward=balanced"])
    assert [line.partition("=")[0] for line in told.splitlines()] == ["data.root", "reward"]


@pytest.mark.parametrize(
    "words",
    [
        ["data.root=null"],
        ["reward=none"],
        ["tracker=none"],
        ["deepspeed=null", "stage=eval"],
        ["generate.servers=[]"],
        ["model.lora.enable=false", "stage=eval"],
        ["hardware.rollout.mode=trainer", "hardware.rollout.nodes=0", "stage=grpo"],
        ["experiment=eval_7b", "hardware=a100"],
        ["hardware=rtx4090_zero3", "model=qwen2_vl_7b", "stage=sft"],
    ],
)
def test_what_asks_for_nothing_and_what_an_option_brings_along_is_let_through(words):
    assert judged(words) == ""


@pytest.mark.parametrize(
    ("word", "words", "told"),
    [
        ("hardware.slurm.partition=gpu", [], "read with hydra/launcher=slurm"),
        (
            "hardware.gpu_memory_gb=80",
            ["stage=sft"],
            "read with stage=sft or stage=grpo on GPUs",
        ),
        ("model.parameters=9", EVAL, "read with stage=sft or stage=grpo on GPUs"),
        ("hardware.micro_batch_grpo=2", [], "read with stage=grpo"),
        ("hardware.loader_workers=2", EVAL, "read with stage=sft or stage=grpo"),
        ("hardware.tf32=true", [], "read on GPUs"),
        (
            "tracker.project=mine",
            ["tracker=tensorboard"],
            "read with tracker=wandb or tracker=trackio",
        ),
        (
            "tracker.samples=2",
            ["stage=sft"],
            "read with stage=eval, stage=grpo or tracker.samples_every",
        ),
        ("tracker.samples_every=2", EVAL, "read with stage=sft or stage=grpo"),
        ("paths.sweep_dir=x", [], "read by a sweep"),
    ],
)
def test_a_word_that_no_result_hangs_on_is_told_in_one_line(word, words, told, caplog):
    assert judged([*words, word]) == ""
    [record] = caplog.records
    assert record.getMessage().startswith(
        f"{word.partition('=')[0]} changes nothing here: it is {told}"
    )


def test_words_for_slurm_are_not_told_to_slurm(caplog):
    assert judged(["hardware.slurm.partition=gpu"], launcher="slurm", is_sweep=True) == ""
    assert not caplog.records


def test_a_word_for_another_stage_or_point_of_many_is_heeded():
    configs = [compose_config([word]) for word in ("stage=sft", "stage=eval")]
    refuse_unread(["generate.temperature=1"], [Use(config) for config in configs])
    with pytest.raises(SggError, match="stage=sft or eval"):
        refuse_unread(["hardware.rollout.mode=colocate"], [Use(config) for config in configs])


@pytest.mark.parametrize("name", options("pipeline"))
def test_a_pipeline_reads_what_any_of_its_steps_reads(name, tmp_path):
    data = JSONL if name == "overfit" else []
    config = compose_config([f"pipeline={name}", *data])
    words = [*data, "reward=balanced", "generate.batch_size=4", "protocol=sgg", "tracker=wandb"]
    steps = plan_steps(config.pipeline, words, tmp_path, COMPOSER)
    refuse_unread(words, [Use(step.config) for step in steps])
    with pytest.raises(SggError, match=r"model\.lora\.r=4 would be ignored"):
        refuse_unread(["model.lora.r=4"], [Use(step.config) for step in steps])


def test_a_steps_own_words_are_for_that_step(tmp_path):
    pipeline = PipelineConfig({"sft": PipelineStep(["stage=sft", "generate.temperature=1"])})
    told = "pipeline.steps.sft.overrides: generate.temperature=1 would be ignored"
    with pytest.raises(SggError, match=re.escape(told)):
        plan_steps(pipeline, [], tmp_path, Composer())


@pytest.mark.parametrize(
    ("launcher", "said"), [("slurm", ""), ("local", "hardware.slurm.time_min changes nothing here")]
)
def test_a_steps_slurm_words_are_read_by_its_launcher(launcher, said, tmp_path, caplog):
    pipeline = PipelineConfig({"sft": PipelineStep(["stage=sft", "hardware.slurm.time_min=12"])})
    plan_steps(pipeline, [], tmp_path, Composer(), launcher)
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)


def test_a_sweeps_word_is_heeded_if_one_point_reads_it(tmp_path):
    engines = [
        ["stage=eval", f"generate={e}", "generate.gpu_memory_utilization=.5"]
        for e in ("hf", "vllm")
    ]
    check = lambda config: None  # noqa: E731
    with pytest.raises(SggError, match=r"gpu_memory_utilization=\.5 would be ignored"):
        compose_points([engines[0]] * 2, Composer(), tmp_path, check)
    if find_spec("vllm"):
        compose_points(engines, Composer(), tmp_path, check)


@pytest.mark.parametrize(
    ("words", "is_sweep", "told"),
    [
        (["hydra.launcher.parallel=4"], False, "Take -m, or hydra/launcher=slurm"),
        (["hydra.run.dir=x"], False, "Set paths.run_dir or paths.root"),
        (["hydra.sweep.dir=x"], True, "Set paths.sweep_dir or paths.root"),
        (["hydra.launcher.parallel=4"], True, ""),
        (["hydra.searchpath=[pkg://x]"], False, ""),
    ],
)
def test_words_of_hydra_that_nothing_here_reads_are_refused(words, is_sweep, told):
    overrides = OmegaConf.create({"overrides": {"hydra": words}})
    if not told:
        refuse_unread_by_hydra(overrides, is_sweep)
        return
    with pytest.raises(SggError, match=re.escape(told)):
        refuse_unread_by_hydra(overrides, is_sweep)


@pytest.mark.parametrize(
    ("tool", "words", "told"),
    [
        ("predict", ["generate=vllm"], "as hf only"),
        ("predict", ["generate.servers=['http://a:1']"], "not by `sgg predict`"),
        ("predict", ["reward=balanced"], "reward is read by runs, not by `sgg predict`"),
        ("predict", ["protocol=sgbench"], "not by `sgg predict`"),
        ("predict", ["data=vg150", "prompt=open"], "with prompt.template=closed"),
        ("predict", ["data.root=D"], "not by `sgg predict`"),
        ("predict", ["model.lora.r=4"], "not by `sgg predict`"),
        ("predict", ["generate.top_p=.5"], "not greedy"),
        ("predict", ["data=vg150", "prompt=closed", "generate=sampled", "seed=3"], ""),
        (
            "predict",
            ["stage=grpo"],
            "stage is read with stage=eval, and here stage=grpo. Take stage=eval",
        ),
        ("predict", ["stage=eval", "stage.max_pixels=6272"], ""),
        ("serve", ["stage=sft"], "here stage=sft"),
        ("score", ["stage=grpo"], "here stage=grpo"),
        ("reward", ["stage=grpo"], "here stage=grpo"),
        ("reward", ["stage=eval"], ""),
        ("serve", ["generate=hf"], "as vllm only"),
        ("serve", ["prompt=closed"], "not by `sgg serve`"),
        ("serve", ["generate.temperature=1"], "not by `sgg serve`"),
        ("serve", ["generate=vllm", "hardware=local", "hardware.rollout.max_length=99"], ""),
        ("score", ["reward=balanced"], "not by `sgg score`"),
        ("score", ["generate.temperature=1"], "not by `sgg score`"),
        ("score", ["data.root=D"], "here data.source=shapes"),
        ("score", ["protocol=sgbench", "data.eval.limit=8", "stage.split=train"], ""),
        ("reward", ["protocol=sgbench"], "not by `sgg reward`"),
        ("reward", ["reward=balanced", "data.eval.limit=8"], ""),
        ("prepare", ["data.root=D"], "here data.source=shapes"),
        ("prepare", ["data=gqa", "data.root=D", "data.box_format=xywh"], "here data.source=gqa"),
        ("prepare", ["experiment=sft_2b", "model=qwen2_vl_7b", "reward=balanced"], ""),
    ],
)
def test_a_tool_refuses_what_only_runs_read(tool, words, told):
    config = compose_config(["stage=eval", *words])
    if not told:
        refuse_unread_by(tool, words, config)
        return
    with pytest.raises(SggError, match=re.escape(told)):
        refuse_unread_by(tool, words, config)


def test_prepare_says_what_it_passes_over(caplog):
    words = ["model=qwen2_vl_7b", "reward=balanced"]
    refuse_unread_by("prepare", words, compose_config(words))
    assert caplog.messages == [
        "model, reward change nothing here: they are read by runs, not by `sgg prepare`."
    ]


def commands():
    """Every command for a run that README and the docs show, its words as a shell would hand them on."""
    pages = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    found = re.findall(r"(?:`|^)sgg (\w+=[^`\n]*)(?:`|$)", text, re.MULTILINE)
    split = {" ".join(words): words for line in found if (words := _words(line))}
    return [pytest.param(words, id=name) for name, words in sorted(split.items())]


def _words(line):
    """The words of a shown command; none of one with a placeholder or a comment's remark."""
    words = shlex.split(line, comments=True)
    strange = any(not re.fullmatch(r"[\w./@]+=\S+", word) or "…" in word for word in words)
    return [] if strange or "hardware=mycluster" in words else words


@pytest.mark.parametrize("words", commands())
def test_no_command_of_the_docs_sets_anything_for_nothing(words, tmp_path):
    assert len(commands()) > 10
    config = compose_config(words)
    configs = [config]
    if config.pipeline is not None:
        configs = [s.config for s in plan_steps(config.pipeline, words, tmp_path, COMPOSER)]
    launcher = "slurm" if "hydra/launcher=slurm" in words else ""
    refuse_unread(words, [Use(c, launcher, is_sweep=bool(launcher)) for c in configs])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["stage=eval", "grammar.max_objects=5"],
            "grammar.max_objects=5 would be ignored: grammar.max_objects is read with an option of "
            "grammar, and here grammar=null. Take grammar=bounded, or leave grammar.max_objects out.",
        ),
        (
            ["stage=sft", "fsdp.reshard_after_forward=true"],
            "Take fsdp=full_shard, fsdp=shard_grad, or",
        ),
        (["stage=sft", "pipeline.table=[eval]"], "and here pipeline=null. Take pipeline=demo, "),
        (
            ["stage=eval", "stage.global_batch=8"],
            "stage.global_batch: no such key. It is read with stage=sft: take one, or leave it out",
        ),
        (["stage=sft", "stage.split=train"], "It is read with stage=eval: "),
        (["stage=eval", "stage.micro_batch=8"], "It is read with stage=sft or stage=grpo: "),
        (["stage=sft", "stage.prompts_per_stp=8"], "stage.prompts_per_stp: no such key."),
    ],
)
def test_a_key_of_another_stage_or_of_no_option_is_told_in_words(words, told):
    with pytest.raises(Exception, match=r".") as error:
        compose_config(words)
    assert told in str(explain(error.value))


@pytest.mark.parametrize(
    "word",
    [
        "data.rot=/a",
        "foo=1",
        "foo.bar=1",
        "seed_=5",
        "stage.argz.learning_rate=1",
        "stage.split=train",  # of another stage
        "hardware.slurm.partion=x",
        "protocol.iuo=0.9",
        "data.eval.limt=1",
        "data={rot: /a}",
        "pipeline.steps.sft.overides=[]",
    ],
)
def test_a_plus_does_not_open_the_schema(word):
    """`+` and `++` get what the same word gets without them."""
    words = ["stage=sft", "pipeline=demo"]
    told = set()
    for sign in ("", "+", "++"):
        with pytest.raises(Exception, match=r".") as error:
            compose_config([*words, f"{sign}{word}"])
        told.add(explain(error.value))
    assert len(told) == 1
    assert ": no such key." in told.pop()


def test_a_plus_adds_to_what_may_hold_any_key():
    words = ["++stage.args.warmup_steps=3", "++hardware.slurm.sbatch.mail-type=END"]
    words += ["+hardware.environment.A=b", "+reward.terms.own.weight=2", "++data.eval.limit=8"]
    config = compose_config(["stage=sft", *words])
    assert config.stage.args["warmup_steps"] == 3
    assert config.hardware.slurm.sbatch["mail-type"] == "END"
    assert config.hardware.environment["A"] == "b"
    assert config.reward.terms["own"].weight == 2
    assert config.data.eval.limit == 8
