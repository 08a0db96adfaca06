"""The SFT stage's trainer beside TRL's own: the same loss, gradients and metrics, from fewer tokens."""

from functools import partial

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from trl import SFTConfig, SFTTrainer

from sgg.config.model import Family, ModelConfig
from sgg.config.stage import FastPath
from sgg.models.load import load_model
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages
from sgg.train.logprobs import ScoringHead
from sgg.train.sft import Trainer
from sgg.train.shared_prefix.sharing import SharedPrefix

ANSWERS = ('{"objects":[],"relationships":[]}', '{"objects":[{"id":"a.1","bbox":[0,0,9,9]}]}')
ROWS = 40_000
"""Of the head: more than the vocabulary whose every token is scored."""


def make(kind, folder, *, lora=False, **arguments):
    source = locate("tiny_qwen2_5_vl")
    config = ModelConfig(path="tiny_qwen2_5_vl", family=Family.qwen2_5_vl)
    config.lora.enable, config.lora.dropout = lora, 0.0  # a packed row draws another mask
    model = load_model(config, source, torch.float32, seed=0)
    torch.manual_seed(0)  # of the new rows
    inner = model.get_base_model() if lora else model
    inner.resize_token_embeddings(ROWS, mean_resizing=False)
    noise = np.random.default_rng(0).integers(0, 256, (2, 56, 84, 3), dtype=np.uint8)
    rows = [
        {
            "prompt": messages(BRIEF, ""),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
            "image": Image.fromarray(image),
        }
        for answer, image in zip(ANSWERS, noise, strict=True)
    ]
    places = Dataset.from_dict({"place": range(len(rows))})
    trainer = kind(
        model=model,
        args=SFTConfig(str(folder), max_length=None, use_cpu=True, report_to="none", **arguments),
        train_dataset=places.with_transform(
            lambda batch: {name: [rows[i][name] for i in batch["place"]] for name in rows[0]}
        ),
        processing_class=load_processor(source, 3136, 12544),
    )
    trainer.model.train()
    trainer.model_accepts_loss_kwargs = True  # TRL's own knows better than Qwen-VL's classes, too
    return trainer, trainer.data_collator([trainer.train_dataset[i] for i in range(len(rows))])


@pytest.mark.parametrize("sharing", [FastPath.require, FastPath.off])
@pytest.mark.parametrize(
    "more", [{}, {"bf16": True}, {"gradient_checkpointing": True}, {"lora": True}]
)
def test_loss_gradients_and_metrics_are_trls(tmp_path, more, sharing):
    head = ScoringHead(sharing=SharedPrefix(sharing))
    ours = partial(Trainer, head, keep_checkpoints=1)
    found, tolerance = [], 2e-2 if "bf16" in more else 1e-5
    for kind in (ours, SFTTrainer):
        trainer, batch = make(kind, tmp_path, **{"bf16": False, **more})
        # of an optimiser step of two such micro batches
        labels = 2 * (batch["labels"] != -100).sum()
        loss = trainer.training_step(trainer.model, dict(batch), labels)
        metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
        grads = {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}
        found.append((loss, metrics, grads))
    (loss, metrics, grads), (their_loss, their_metrics, their_grads) = found
    assert loss > 1
    torch.testing.assert_close(loss, their_loss, rtol=tolerance, atol=0)
    assert {"entropy", "mean_token_accuracy", "num_tokens"} <= metrics.keys()
    assert metrics == pytest.approx(their_metrics, rel=tolerance)
    assert grads.keys() == their_grads.keys()
    for name, grad in grads.items():
        largest = their_grads[name].abs().max().item()
        torch.testing.assert_close(grad, their_grads[name], rtol=0, atol=tolerance * largest)
