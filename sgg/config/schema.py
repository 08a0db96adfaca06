"""The schema of `conf/`: types, units and meanings; values live in the YAML files.

Comes in: what Hydra composed. Goes out: one typed `Config`, checked by `validate.validate`, frozen to
RUN_DIR/config.yaml. Imports no torch and no numpy: `sgg --cfg job` passes through here. Longer than
other modules on purpose: every key that a user can set, with its unit, is found here, or in
a class nested from beside its owner (hardware, metric/protocol, options).
"""

from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from sgg.config import literal
from sgg.config.hardware import HardwareConfig, gpus_here
from sgg.config.options import (
    BoxFormat,
    Duplicates,
    Family,
    ImageCheck,
    MatchWeights,
    Part,
    Pictures,
    ScenePlan,
    SimilarityKind,
    Source,
    StructureConfig,
    Template,
    UnknownName,
    VocabularyName,
)
from sgg.config.protocol import ProtocolConfig
from sgg.config.tree import cache_here
from sgg.config.unknown import refuse_unknown
from sgg.errors import SggError, nearest
from sgg.files import write_whole

FROZEN_NAME = "config.yaml"
"""Name of the frozen config in a run folder."""


class StageName(Enum):
    """What a run does."""

    sft = "sft"
    grpo = "grpo"
    eval = "eval"


class Dtype(Enum):
    """Precision of the weights as loaded."""

    auto = "auto"
    """bf16 when `hardware.precision` is bf16, else fp32. Weights that an optimiser without DeepSpeed's
    fp32 masters updates stay fp32 either way: steps of 1e-6 are lost in bf16's rounding."""
    float32 = "float32"
    bfloat16 = "bfloat16"


class Attention(Enum):
    """transformers' `attn_implementation`."""

    sdpa = "sdpa"
    eager = "eager"
    flash_attention_2 = "flash_attention_2"


class Init(Enum):
    """Where the weights come from."""

    pretrained = "pretrained"
    random = "random"
    """The checkpoint's architecture with fresh weights from `seed`."""


class OptimizerKind(Enum):
    """Who builds the optimiser."""

    trl = "trl"
    """TRL, by `stage.args.optim` (AdamW)."""
    muon_adamw = "muon_adamw"
    """Muon on matrices, AdamW on the rest: for tiny models on one process."""


class Engine(Enum):
    """What generates text."""

    hf = "hf"
    """transformers' generate."""
    vllm = "vllm"
    """vLLM in each process, on the process's own GPU or on the CPU."""
    server = "server"
    """OpenAI-compatible servers that run already."""


class TrackerKind(Enum):
    """Where curves go besides the run folder."""

    none = "none"
    wandb = "wandb"
    tensorboard = "tensorboard"


@dataclass
class LoraConfig:
    """Low-rank adapters through peft."""

    enable: bool = False
    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: list[str] = field(
        default_factory=lambda: [
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ]
    )
    """Module names of the language model that get an adapter."""


@dataclass
class ModelConfig:
    """Which model, how it sees, and which parts learn."""

    path: str = MISSING
    """Hub id, folder, run folder, or the name of a tiny base that the package ships."""
    family: Family = MISSING
    """Expected architecture; the checkpoint's own config must agree."""
    revision: str | None = None
    """Hub revision."""
    activations_per_token: int | None = None
    """Hidden size × layers, numbers that a token keeps under gradient checkpointing: the profile's micro
    batches, stated for 7B, are fitted by it; null takes them as they are."""
    init: Init = Init.pretrained
    min_pixels: int = 3136
    """Smallest area an image is resized to, pixels."""
    max_pixels: int = 802816
    """Largest area an image is resized to, pixels; a stage may lower it."""
    dtype: Dtype = Dtype.auto
    attention: Attention = Attention.sdpa
    freeze_vision: bool = False
    """Keep the vision tower as it is."""
    freeze_merger: bool = False
    """Keep the projection from vision to text as it is."""
    freeze_language: bool = False
    """Keep the language model as it is."""
    lora: LoraConfig = field(default_factory=LoraConfig)


@dataclass
class SplitConfig:
    """One part of a data set."""

    path: str | None = None
    """Hub id, folder or file; null where `data.root` says all."""
    name: str | None = None
    """Split name as the source knows it."""
    offset: int = 0
    """Examples to pass over."""
    limit: int | None = None
    """Examples to take after the offset; null for all."""
    seed: int = 0
    """Stream of a synthetic source."""


@dataclass
class DataConfig:
    """Where examples come from and how they are cleaned."""

    source: Source = MISSING
    root: str | None = None
    """Folder of a raw data set; splits may name files below it."""
    images: str | None = None
    """Folder of the pictures, where it is not the root."""
    pictures: Pictures = Pictures.files
    train: SplitConfig = field(default_factory=SplitConfig)
    eval: SplitConfig = field(default_factory=SplitConfig)
    vocabulary: VocabularyName = VocabularyName.none
    """Class lists for closed prompts and for the unknown-class check."""
    box_format: BoxFormat = BoxFormat.xyxy
    """What the four numbers of a box mean, where the source does not fix it."""
    clip_boxes: bool = True
    """Clip boxes to the image; if false, boxes past the edge are dropped."""
    duplicates: Duplicates = Duplicates.drop
    """Relations that an image states twice."""
    drop_unknown: bool = False
    """Drop objects and predicates outside the vocabulary; they are counted either way."""
    min_relations: int = 0
    """Images with fewer relations after cleaning are dropped (counted)."""
    check_images: ImageCheck = ImageCheck.decode
    workers: int = 0
    """Processes for preparing; 0 for one per core."""
    shapes: ScenePlan = field(default_factory=ScenePlan)


@dataclass
class PromptConfig:
    """What the model is asked. SFT, GRPO and evaluation share it."""

    template: Template = Template.open
    reasoning: bool = False
    """Ask for <think> and <answer> tags, and write SFT targets into answer tags."""
    system: str | None = None
    """System message; null for the one that fits `reasoning`, empty for none."""


@dataclass
class OptimizerConfig:
    """The optimiser, where it is not TRL's own."""

    kind: OptimizerKind = OptimizerKind.trl
    muon_lr: float = 0.01
    """Peak learning rate of the matrices; the rest learns at `stage.args.learning_rate`."""


@dataclass
class StageConfig:
    """What every stage has."""

    name: StageName = MISSING
    max_pixels: int | None = None
    """Upper limit on `model.max_pixels` in this stage, pixels."""


@dataclass
class TrainStageConfig(StageConfig):
    """What the training stages share."""

    micro_batch: int | None = None
    """Samples in one forward pass of one process; null for the largest that the profile allows."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    keep_checkpoints: int = 2
    """Newest whole checkpoints kept."""
    args: dict[str, Any] = field(default_factory=dict)
    """Fields of TRL's own config class, by their own names."""


@dataclass
class SftConfig(TrainStageConfig):
    """Supervised fine-tuning on rendered gold."""

    name: StageName = StageName.sft
    global_batch: int = 128
    """Samples per optimiser step."""
    shuffle_objects: bool = False
    """Another order of objects in each target, by image and epoch."""


@dataclass
class GrpoConfig(TrainStageConfig):
    """Group-relative policy optimisation with graph rewards."""

    name: StageName = StageName.grpo
    prompts_per_step: int = 32
    """Different prompts per optimiser step; each is answered `args.num_generations` times."""


@dataclass
class EvalConfig(StageConfig):
    """Generate answers to the eval split and score them."""

    name: StageName = StageName.eval
    part: Part = Part.eval
    """Split that is answered; `train` tells memory from generalisation."""
    shuffle_images: bool = False
    """Control: give every prompt another example's picture; a model that looks falls to chance."""


STAGES = {StageName.sft: SftConfig, StageName.grpo: GrpoConfig, StageName.eval: EvalConfig}
"""The config of each stage."""


@dataclass
class TermConfig:
    """One term of the reward."""

    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the term's function."""
    warmup_steps: int = 0
    """Optimiser steps over which the weight grows to its full size; 0 for at once."""
    clip: list[float] | None = None
    """[lowest, highest] value of the term; null for its own range."""
    gate: str | None = None
    """Term whose value is multiplied in, such as format or count_guard; null for none."""
    import_path: str | None = None
    """package.module:function of a term that sgg does not have; null for sgg's own of this name."""


@dataclass
class RewardConfig:
    """The reward mix: named terms, each logged beside the total."""

    terms: dict[str, Any] = field(default_factory=dict)
    """`TermConfig` by term name. Any, because a new term cannot be set key by key in a typed dict."""
    similarity: SimilarityKind = SimilarityKind.exact
    unknown: UnknownName = UnknownName.itself
    """What a name outside the similarity table is like."""
    embedding: str | None = None
    """Folder of the model behind similarity=embedding; null for the one that a package carries."""
    match: MatchWeights = field(default_factory=MatchWeights)
    workers: int = 0
    """Processes that score batches of a thousand answers or more; 0 to score in the trainer's own."""


@dataclass
class GenerateConfig:
    """How answers are generated in evaluation and prediction; prediction is by transformers always."""

    engine: Engine = Engine.hf
    batch_size: int = 8
    """Answers in the making at once in one process: images of a batch with engine=hf, requests in flight
    with engine=vllm and, over all servers, with engine=server."""
    memory_share: float = 0.9
    """engine=vllm: part of a GPU's memory that vLLM may take; it has the GPU to itself in evaluation."""
    completions: int = 1
    """Answers per image."""
    max_new_tokens: int = 1024
    temperature: float = 0.0
    """0 for greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 for no limit."""
    servers: list[str] = field(default_factory=list)
    """engine=server: their addresses, such as http://127.0.0.1:8000, without /v1."""
    server_model: str | None = None
    """engine=server: the name by which they know the model; null for the only one that they list."""
    key_variable: str = "OPENAI_API_KEY"
    """engine=server: name of the environment variable that holds the key, if they want one."""
    request_limit_s: float = 600.0
    """engine=server: longest wait for one request, seconds."""


@dataclass
class TrackerConfig:
    """Experiment tracking."""

    kind: TrackerKind = TrackerKind.none
    project: str = "sgg"
    entity: str | None = None
    group: str | None = None
    """What links SFT, GRPO and eval of one experiment; null for the model and data choices."""
    samples: int = 8
    """Drawn answers in the table that evaluation logs."""


@dataclass
class PathsConfig:
    """Where things are written."""

    root: str = "runs"
    """Folder of run folders."""
    run_dir: str | None = None
    """This run's folder; null for a new one below the root, named after the choices and the time."""
    sweep_dir: str | None = None
    """Folder of a sweep's points; null for a new one below the root."""
    cache: str = MISSING
    """Prepared data sets."""


@dataclass
class PipelineStep:
    """One run of a pipeline."""

    overrides: list[str] = field(default_factory=list)
    """On top of the command line's."""
    init_from: str | None = None
    """Step whose final model this one starts from; null for the config's own model."""


@dataclass
class PipelineConfig:
    """Runs in order, each from the former's output."""

    steps: dict[str, PipelineStep] = field(default_factory=dict)
    table: list[str] = field(default_factory=list)
    """Steps whose metrics make the final table."""


@dataclass
class Config:
    """Everything about a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    stage: StageConfig = MISSING
    reward: RewardConfig = field(default_factory=RewardConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    structure: StructureConfig | None = None
    """The bounds of answers that vLLM holds to the graph's form; null to let the model write freely."""
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    """How answers are scored; fixed by name, so that figures may be compared."""
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    deepspeed: dict[str, Any] | None = None
    """DeepSpeed's own config; null for plain data parallelism."""
    fsdp: dict[str, Any] | None = None
    """accelerate's FSDP settings, as transformers' `fsdp_config` takes them; null for none."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    pipeline: PipelineConfig | None = None
    seed: int = 0
    resume: str | None = None
    """Run folder to go on from; its frozen config is used, so nothing else may be set."""
    dry_run: bool = False
    """Print the processes, GPUs and (with hydra/launcher=slurm) the job, and start nothing."""
    choices: dict[str, str] = field(default_factory=dict)
    """Which option of each group made this config; filled in when it is frozen."""


def register() -> None:
    """Tell Hydra the schema and the site's folder, and OmegaConf what a machine decides. Idempotent."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from sgg.config.search_path import SiteFolder

    Plugins.instance().register(SiteFolder)
    OmegaConf.register_new_resolver("sgg.gpus_here", gpus_here, replace=True)
    OmegaConf.register_new_resolver("sgg.cache_here", cache_here, replace=True)

    store = ConfigStore.instance()
    # nobody else has the schema's nodes: copying each as it is set costs a startup 3 %
    schema = OmegaConf.structured(Config, flags={"no_deepcopy_set_nodes": True})
    store.store(name="schema", node=schema)
    for name, stage in STAGES.items():
        store.store(group="stage", name=f"{name.name}_schema", node=stage)


def typed(cfg: DictConfig) -> Config:
    """The composed config as typed objects, interpolations resolved.

    Raises:
        ConfigKeyError: a word with `+` put a key where the schema has none.

    """
    # a pipeline's or sweep's word for its training stages; `unread` judges over all of them
    refuse_unknown(cfg, left=("stage.args",))
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    config.reward.terms = {k: _term(k, v) for k, v in config.reward.terms.items()}
    for name, folder in vars(config.paths).items():  # others are expanded by who reads them
        if folder is not None:
            setattr(config.paths, name, str(Path(folder).expanduser()))
    return config


def _term(name: str, values: Any) -> TermConfig:
    key = f"reward.terms.{name}"
    if not isinstance(values, dict):
        raise SggError(f"{key}={values}: write {key}.weight={values}.")
    allowed = [f.name for f in fields(TermConfig)]
    for unknown in sorted(set(values) - set(allowed)):
        raise SggError(
            f"{key}.{unknown}: no such key.{nearest(unknown, allowed)} "
            f"Allowed under {key}: {', '.join(sorted(allowed))}."
        )
    term = TermConfig(**{k: v for k, v in values.items() if k != "options" or v is not None})
    clip = term.clip
    wrong = {
        "weight": not _is_number(term.weight) and "must be a number",
        "options": not isinstance(term.options, dict) and "must be options by name",
        "warmup_steps": not isinstance(term.warmup_steps, int)
        and "must be a whole number of steps",
        "gate": not isinstance(term.gate, str | None) and "must be the name of a term",
        "import_path": not isinstance(term.import_path, str | None)
        and "must be package.module:function",
        "clip": clip is not None
        and not (isinstance(clip, list) and len(clip) == 2 and all(map(_is_number, clip)))
        and "must be [lowest, highest]",
    }
    for field_name, problem in wrong.items():
        if problem:
            raise SggError(f"{key}.{field_name}={getattr(term, field_name)}: {problem}.")
    return replace(term, weight=float(term.weight))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def freeze(config: Config, path: Path) -> None:
    """Write the config as it stands, atomically: what a run reads is whole or not there."""
    write_whole(path, literal.dumps(config))


def thaw(path: Path) -> Config:
    """Read a frozen config back, checked against the schema. Nothing in it is resolved.

    Raises:
        SggError: it is none, or does not fit the schema.

    """
    try:
        return build_config(literal.loads(path.read_text(encoding="utf-8")))
    except (SggError, UnicodeDecodeError) as error:
        raise SggError(f"{path}: {error}") from error


def build_config(values: dict[str, Any]) -> Config:
    """The config that plain values make.

    Raises:
        SggError: they do not fit the schema.

    """
    config = literal.build(Config, values, choose=_stage_of)
    assert isinstance(config, Config)
    config.reward.terms = {k: _term(k, v) for k, v in config.reward.terms.items()}
    return config


def _stage_of(kind: Any, values: Any) -> Any:
    """The class of a stage, by its name."""
    if kind is not StageConfig:
        return kind
    name = str(values.get("name")) if isinstance(values, dict) else ""
    if name not in StageName.__members__:
        raise SggError(f"stage.name={name}: must be one of {', '.join(StageName.__members__)}.")
    return STAGES[StageName[name]]
