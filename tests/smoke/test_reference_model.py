"""The reference model of GRPO with beta > 0, which TRL loads."""

import pytest

from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.models.vision_attention import PACKED

WORDS = [
    "stage=grpo",
    "stage.args.beta=0.1",
    "stage.args.max_steps=1",
    "stage.prompts_per_step=1",
    "stage.args.num_generations=2",
    "stage.args.max_completion_length=4",
    "data.train.limit=4",
]


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "expected"), [("sdpa", PACKED), ("eager", "eager")])
def test_its_tower_attends_as_the_policys(tmp_path, monkeypatch, attention, expected):
    from sgg.train import grpo, grpo_trainer

    words = [*WORDS, f"model.attention={attention}", f"paths.cache={tmp_path}/cache"]
    config = compose_config(words)
    config.paths.run_dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    write_frozen(config, tmp_path / "run" / "config.yaml")
    trainers = []
    train = grpo_trainer.Trainer.train

    def kept(self, **how):
        trainers.append(self)
        return train(self, **how)

    monkeypatch.setattr(grpo_trainer.Trainer, "train", kept)
    grpo.run(config, tmp_path / "run")
    models = trainers[0].model, trainers[0].ref_model
    assert [m.config.vision_config._attn_implementation for m in models] == [expected] * 2
