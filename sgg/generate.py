"""Prompts and pictures -> answers, with transformers, into a file that can be gone on with.

Comes in: a prepared split. Goes out: `completions.jsonl`, one JSON object per answer in the order of
the split. Batches are the same in every start and each has its own seed, so a run that was killed and
gone on with ends with the same file. No scoring here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from tqdm import tqdm

from sgg.data.build import Prepared, example
from sgg.data.images import ImageStore
from sgg.errors import SggError
from sgg.predictions import COMPLETIONS
from sgg.prompt import Messages, Prompter
from sgg.run import append_json, read_json_lines

if TYPE_CHECKING:
    from PIL.Image import Image

PARTS_FOLDER = "completions.parts"


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 for greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 for no limit."""
    completions: int = 1
    """Answers per image."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer."""

    text: str
    tokens: int
    truncated: bool
    """Whether it was cut at the token limit instead of ending by itself."""


class Engine(Protocol):
    """What generates."""

    def answer(
        self, chats: Sequence[Messages], images: Sequence[Image], seed: int
    ) -> list[list[Completion]]:
        """Answers per chat, all of one batch; the same for the same batch and seed."""
        ...


class HfEngine:
    """transformers' `generate`, left-padded batches.

    Of the checkpoint's own generation settings the ends of an answer are kept and nothing else: a
    repetition penalty that a hub checkpoint brings along would bend what the config says, and differ
    from what GRPO samples.
    """

    def __init__(self, model: Any, processor: Any, sampling: Sampling) -> None:
        from transformers import GenerationConfig

        self._model = model.eval()
        self._processor = processor
        self._sampling = sampling
        declared = model.generation_config.eos_token_id
        ends = declared if isinstance(declared, list) else [] if declared is None else [declared]
        self._eos_ids = sorted({*ends, processor.tokenizer.eos_token_id})
        model.generation_config = GenerationConfig(eos_token_id=self._eos_ids)

    def answer(
        self, chats: Sequence[Messages], images: Sequence[Image], seed: int
    ) -> list[list[Completion]]:
        """See `Engine.answer`."""
        sampling, model = self._sampling, self._model
        texts = [
            self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        inputs = self._processor(
            text=texts, images=[[image] for image in images], padding=True, return_tensors="pt"
        ).to(model.device)
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(seed)
            ids = model.generate(**inputs, generation_config=self._generation_config())
        answers = ids[:, inputs["input_ids"].size(1) :]
        flat = [self._completion(row.tolist()) for row in answers]
        n = sampling.completions
        return [flat[i : i + n] for i in range(0, len(flat), n)]

    def _generation_config(self) -> Any:
        from transformers import GenerationConfig

        sampling, config = self._sampling, self._model.config
        tokenizer = self._processor.tokenizer
        sampled = sampling.temperature > 0
        drawn = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        }
        return GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            num_return_sequences=sampling.completions,
            do_sample=sampled,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=self._eos_ids,
            suppress_tokens=[config.image_token_id, config.video_token_id],
            **(drawn if sampled else {}),
        )

    def _completion(self, ids: list[int]) -> Completion:
        ends = [i for i, token in enumerate(ids) if token in self._eos_ids]
        kept = ids[: ends[0]] if ends else ids
        text = self._processor.tokenizer.decode(kept, skip_special_tokens=True)
        return Completion(text, len(kept), truncated=not ends)


@dataclass(frozen=True)
class Shard:
    """This process's share of the batches."""

    rank: int = 0
    world: int = 1


def generate_split(
    engine: Engine,
    prepared: Prepared,
    store: ImageStore,
    prompter: Prompter,
    sampling: Sampling,
    run_dir: Path,
    batch_size: int,
    shard: Shard = Shard(),
    shuffle_images: bool = False,
) -> None:
    """Answer every image of the split that has no answer yet, into this rank's part file.

    Args:
        shuffle_images: give each prompt the next image's picture: the control for looking.

    """
    parts = run_dir / PARTS_FOLDER
    parts.mkdir(exist_ok=True)
    part = parts / f"rank{shard.rank}.jsonl"
    done = {(r["image_id"], r["index"]) for r in _written(parts)}
    _mend(part)
    batches = list(_batches(len(prepared), batch_size))[shard.rank :: shard.world]
    with tqdm(
        total=sum(map(len, batches)), desc="generate", unit="image", disable=shard.rank > 0
    ) as bar:
        for batch in batches:
            rows = [prepared.rows[i] for i in batch]
            wanted = {(r["image_id"], k) for r in rows for k in range(sampling.completions)}
            if not wanted <= done:
                pictures = [prepared.rows[_other(i, len(prepared), shuffle_images)] for i in batch]
                examples = [example(r, store) for r in pictures]
                golds = [prepared.gold(i) for i in batch]
                chats = [prompter.messages(g["width"], g["height"], g["columns"]) for g in golds]
                answers = engine.answer(
                    chats, [e.image for e in examples], sampling.seed * 1_000_003 + batch.start
                )
                for row, texts in zip(rows, answers, strict=True):
                    for index, completion in enumerate(texts):
                        if (row["image_id"], index) not in done:
                            key = {"image_id": row["image_id"], "index": index}
                            append_json(part, key | asdict(completion))
            bar.update(len(batch))


def merge(prepared: Prepared, run_dir: Path, completions: int) -> Path:
    """All parts as one file in the order of the split.

    Raises:
        SggError: answers are missing.

    """
    found = {(r["image_id"], r["index"]): r for r in _written(run_dir / PARTS_FOLDER)}
    ids = prepared.rows["image_id"]
    wanted = [(image_id, index) for image_id in ids for index in range(completions)]
    missing = [key for key in wanted if key not in found]
    if missing:
        raise SggError(
            f"{len(missing)} answers are missing in {run_dir / PARTS_FOLDER}, first {missing[0]}. "
            f"Go on with resume={run_dir}."
        )
    path = run_dir / COMPLETIONS
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    for key in wanted:
        append_json(partial, found[key])
    partial.replace(path)
    return path


def _batches(count: int, size: int) -> Iterator[range]:
    return (range(i, min(i + size, count)) for i in range(0, count, size))


def _other(index: int, count: int, shuffle: bool) -> int:
    return (index + 1) % count if shuffle else index


def _written(parts: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(parts.glob("rank*.jsonl")) for row in read_json_lines(path)]


def _mend(part: Path) -> None:
    """Cut off a last line that a kill left half written, so that the next one starts clean."""
    if part.is_file():
        content = part.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            part.write_bytes(whole)
