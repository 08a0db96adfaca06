"""Supervised fine-tuning: TRL's SFTTrainer on rendered gold, the loss on the completion only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import SFTTrainer
from trl.trainer import sft_trainer

from sgg.config.schema import Config
from sgg.config.stage import SftConfig
from sgg.data.prepare import image_store
from sgg.models.spec import prompter
from sgg.train.callbacks import EpochCallback
from sgg.train.lengths import refuse_longer
from sgg.train.logprobs import ScoringHead
from sgg.train.loop import AtomicCheckpoints, TrainerInputs, muon_optimizers, train
from sgg.train.rows import SftRows, as_trl_dataset
from sgg.train.shared_prefix.sharing import SharedPrefix
from sgg.train.trl_args import words_of_trl
from sgg.train.turns import refuse_changed_answer


class Trainer(AtomicCheckpoints, SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with complete checkpoints and a head that scores the completions alone."""

    def __init__(self, head: ScoringHead, **theirs: Any) -> None:
        """Make TRL's trainer.

        Args:
            head: where log-probabilities come from.
            theirs: `keep_checkpoints`, and `SFTTrainer`'s arguments.

        """
        with head.installed(sft_trainer), words_of_trl():
            super().__init__(**theirs)
        self.clock.others.append(head.sharing.measured)
        # Qwen-VL's classes tell the Trainer not to count tokens over the optimiser step; TRL's loss can use
        # the count, and without it the mean over micro batches and ranks would weigh short completions more.
        self.model_accepts_loss_kwargs = True


def run(config: Config, run_dir: Path) -> None:
    """The SFT stage; see `loop.train`."""
    train(config, run_dir, _trainer)


def _trainer(parts: TrainerInputs) -> Any:
    config, stage = parts.config, parts.config.stage
    assert isinstance(stage, SftConfig)
    rows = SftRows(
        image_store(config.data, "train"), prompter(config), stage.shuffle_objects, config.seed
    )
    refuse_changed_answer(config.model.path, parts.prepared, rows, parts.processor)
    refuse_longer(stage.args.get("max_length"), parts.prepared, rows, parts.processor)
    dataset, optimizers = as_trl_dataset(parts.prepared, rows), muon_optimizers(parts)
    return Trainer(
        ScoringHead(sharing=SharedPrefix(stage.fast_path, compiled=parts.args.torch_compile)),
        keep_checkpoints=stage.keep_checkpoints,
        model=parts.model,
        args=parts.args,
        train_dataset=dataset,
        processing_class=parts.processor,
        callbacks=[EpochCallback(rows.epoch.set)],
        optimizers=optimizers,
    )
