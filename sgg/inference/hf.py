"""Completions by transformers' `generate`, batch after batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from sgg.inference.generate import Batch, Completion, Key, Sampling, completion_of, end_ids
from sgg.models.forbidden import BIAS
from sgg.text.prompt import Messages

if TYPE_CHECKING:
    from PIL.Image import Image


class HfEngine:
    """transformers' `generate`, left-padded batches, one after the other.

    Of the checkpoint's own generation settings the ends of a completion are kept and nothing else: a
    repetition penalty that a hub checkpoint brings along would bend what the config says, and differ
    from what GRPO samples.
    """

    def __init__(self, model: Any, processor: Any, sampling: Sampling, batch_size: int = 1) -> None:
        from transformers import GenerationConfig

        self._model = model.eval()
        self._processor = processor
        self._sampling = sampling
        self.batch_size = batch_size
        self._eos_ids = end_ids(model.generation_config.eos_token_id, processor.tokenizer)
        model.generation_config = GenerationConfig(eos_token_id=self._eos_ids)

    def completions(self, batches: Iterator[Batch]) -> Iterator[tuple[Key, Completion]]:
        """See `Engine.completions`; a whole batch is generated, with those that are written already."""
        for batch in batches:
            chats, images = [r.chat for r in batch.requests], [r.image for r in batch.requests]
            seed = self._sampling.seed * 1_000_003 + batch.start
            found = self.complete(chats, images, seed)
            for request, texts in zip(batch.requests, found, strict=True):
                for index, completion in enumerate(texts):
                    yield (request.image_id, index), completion

    def complete(
        self, chats: Sequence[Messages], images: Sequence[Image], seed: int
    ) -> list[list[Completion]]:
        """Completions per chat, all of one batch; the same for the same batch and seed."""
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
        completions = ids[:, inputs["input_ids"].size(1) :]
        tokenizer = self._processor.tokenizer
        flat = [completion_of(row.tolist(), self._eos_ids, tokenizer) for row in completions]
        n = sampling.completions
        return [flat[i : i + n] for i in range(0, len(flat), n)]

    def _generation_config(self) -> Any:
        from transformers import GenerationConfig

        sampling, tokenizer = self._sampling, self._processor.tokenizer
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
            sequence_bias=[[[i], BIAS] for i in self._processor.forbidden_ids],
            **(drawn if sampled else {}),
        )
