"""Generates completions for a split with an engine, into a file from which generation can be resumed.

Input: a prepared split. Output: `completions.jsonl`, one JSON object per completion in the order of
the split. A completion's random seed depends on `seed` and, with transformers, on its batch, with vLLM and
servers on its image id and index; never on what was generated before. Batches are the same in every start, so
a run that was killed and resumed ends with the same file. No scoring here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from sgg.config.schema import Config
from sgg.data.images import ImageStore
from sgg.data.prepared_split import Prepared, image_of
from sgg.errors import SggError
from sgg.files import make_output_folder, whole_file
from sgg.runs.folder import COMPLETIONS, PARTS, append_json, read_json_lines
from sgg.runs.sweep import resume_command
from sgg.text.prompt import Messages, Prompter

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 for greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 for no limit."""
    completions: int = 1
    """Completions per image."""
    seed: int = 0

    @staticmethod
    def of(config: Config) -> Sampling:
        """As `generate` says."""
        generate = config.generate
        return Sampling(
            generate.max_new_tokens,
            generate.temperature,
            generate.top_p,
            generate.top_k,
            generate.num_completions,
            config.seed,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion."""

    text: str
    tokens: int
    truncated: bool
    """Whether it was cut at the token limit instead of ending by itself."""
    masked_mass: float | None = None
    """Probability that a grammar took away, mean over the tokens; None without a grammar."""


Key = tuple[str, int]
"""Image id, and which of its completions."""


@dataclass(frozen=True, slots=True)
class Request:
    """One image and what is asked about it."""

    image_id: str
    chat: Messages
    image: Image


@dataclass(frozen=True, slots=True)
class Batch:
    """Images whose completions are generated together."""

    start: int
    """Place of the first one in the split."""
    requests: list[Request]
    missing: set[Key]
    """Completions that are not written yet, at least one."""


class Engine(Protocol):
    """What generates."""

    batch_size: int
    """Images per batch: `generate.batch_size` with transformers, where one seed covers a batch; 1 with vLLM
    and servers."""

    def completions(self, batches: Iterator[Batch]) -> Iterator[tuple[Key, Completion]]:
        """All that is missing, each as soon as it is there; more than is missing perhaps.

        Takes batches as it has room for them, not all at once: images are read when they are taken.
        """
        ...


def end_ids(declared: int | list[int] | None, tokenizer: Any) -> list[int]:
    """Tokens that end a completion: those of the checkpoint's generation config, and the tokenizer's."""
    listed = declared if isinstance(declared, list) else [] if declared is None else [declared]
    return sorted({*listed, tokenizer.eos_token_id})


def completion_of(ids: list[int], ends: list[int], tokenizer: Any) -> Completion:
    """The completion in sampled tokens, up to the first one that ends it."""
    found = [i for i, token in enumerate(ids) if token in ends]
    kept = ids[: found[0]] if found else ids
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Completion(text, len(kept), truncated=not found)


@dataclass(frozen=True)
class Shard:
    """This process's share of the batches."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Questions:
    """What is asked about the images of a split."""

    prepared: Prepared
    store: ImageStore
    prompter: Prompter
    completions: int = 1
    """Completions per image."""
    shuffle_images: bool = False
    """Pair each prompt with the next example's image, as a control."""

    def wanted(self) -> list[Key]:
        """All completions, in the order of the split."""
        numbers = range(self.completions)
        return [(image_id, index) for image_id in self.prepared.image_ids for index in numbers]

    def places(self, size: int, shard: Shard) -> list[range]:
        """A process's batches of so many images: the same batches, however many processes share them."""
        count = len(self.prepared)
        batches = [range(i, min(i + size, count)) for i in range(0, count, size)]
        return batches[shard.rank :: shard.world]

    def batches(
        self, size: int, shard: Shard = Shard(), done: Set[Key] = frozenset()
    ) -> Iterator[Batch]:
        """A process's batches in which a completion is not done yet; images are read as they are taken."""
        ids = self.prepared.image_ids
        for places in self.places(size, shard):
            asked = ids[places.start : places.stop]
            wanted = {(image_id, k) for image_id in asked for k in range(self.completions)}
            if missing := wanted - done:
                yield Batch(places.start, [self._request(i) for i in places], missing)

    def _request(self, place: int) -> Request:
        gold = self.prepared.gold(place)
        chat = self.prompter.messages(gold["width"], gold["height"], gold["columns"])
        shown = (
            self.prepared.gold((place + 1) % len(self.prepared)) if self.shuffle_images else gold
        )
        return Request(gold["image_id"], chat, image_of(shown, self.store))


def generate_split(
    engine: Engine, questions: Questions, run_dir: Path, shard: Shard = Shard()
) -> None:
    """Generate the missing completions of the split, into this rank's part file."""
    parts = run_dir / PARTS
    make_output_folder(parts)
    part = parts / f"rank{shard.rank}.jsonl"
    done = {(r["image_id"], r["index"]) for r in _written(parts)}
    _mend(part)
    ids = questions.prepared.image_ids
    mine = {ids[i] for places in questions.places(engine.batch_size, shard) for i in places}
    total = len(mine) * questions.completions
    ready = sum(image_id in mine for image_id, _ in done)
    quiet = shard.rank > 0
    with tqdm(total=total, initial=ready, desc="generate", unit="completion", disable=quiet) as bar:
        missing = questions.batches(engine.batch_size, shard, frozenset(done))
        for key, completion in engine.completions(missing):
            if key not in done:
                done.add(key)
                row = {k: v for k, v in asdict(completion).items() if v is not None}
                append_json(part, {"image_id": key[0], "index": key[1]} | row)
                bar.update()


def merge(questions: Questions, run_dir: Path) -> Path:
    """All parts as one file in the order of the split.

    Raises:
        SggError: completions are missing.

    """
    found = {(r["image_id"], r["index"]): r for r in _written(run_dir / PARTS)}
    wanted = questions.wanted()
    missing = [key for key in wanted if key not in found]
    if missing:
        raise SggError(
            f"{len(missing)} completions are missing in {run_dir / PARTS}, first {missing[0]}. "
            f"Resume with: {resume_command(run_dir)}"
        )
    path = run_dir / COMPLETIONS
    with whole_file(path) as file:
        file.writelines(json.dumps(found[key]) + "\n" for key in wanted)
    return path


def _written(parts: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(parts.glob("rank*.jsonl")) for row in read_json_lines(path)]


def _mend(part: Path) -> None:
    """Cut off a last line that a kill left half written, so that the next one starts clean."""
    if part.is_file():
        content = part.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with whole_file(part, "wb") as file:
                file.write(whole)
