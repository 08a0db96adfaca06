"""stage.args.max_length never cuts a target: what is longer is counted and refused before training."""

import pytest

from sgg.config.compose import compose_config
from sgg.config.frozen import write_frozen
from sgg.errors import SggError

WORDS = ["stage=sft", "debug=steps"]


def configured(tmp_path, *words):
    config = compose_config([*WORDS, f"paths.cache={tmp_path}/cache", *words])
    config.paths.run_dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    write_frozen(config, tmp_path / "run" / "config.yaml")
    return config


@pytest.mark.slow
@pytest.mark.parametrize("length", [16, 40])
def test_a_limit_that_would_cut_is_refused_with_the_longest(tmp_path, length):
    from sgg.train.sft import run

    config = configured(tmp_path, f"stage.args.max_length={length}")
    with pytest.raises(SggError) as error:
        run(config, tmp_path / "run")
    said = str(error.value)
    images = config.data.train.limit
    assert f"stage.args.max_length={length}: {images} of {images} examples are longer" in said
    assert "Take stage.args.max_length=null" in said


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["prompt=open_think", "stage.shuffle_objects=true"]])
def test_examples_are_as_long_as_trl_makes_them(tmp_path, words):
    """Token for token, by the collator that training uses; the tiny model's own pixels."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from sgg.config.derived import pixel_budget
    from sgg.data.prepare import image_store, prepare
    from sgg.models.processor import load_processor
    from sgg.models.spec import prompter
    from sgg.models.weights import locate
    from sgg.train.lengths import refuse_longer, tokens
    from sgg.train.rows import SftRows, as_trl_dataset

    config = configured(tmp_path, *words)
    prepared = prepare(config.data, "train", tmp_path / "cache", quiet=True)
    rows = SftRows(
        image_store(config.data, "train"), prompter(config), config.stage.shuffle_objects
    )
    processor = load_processor(locate(config.model.path), *pixel_budget(config))
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    dataset = as_trl_dataset(prepared, rows)
    made = [int(collate([dataset[i]])["attention_mask"].sum().item()) for i in range(len(prepared))]
    counted = [tokens(gold, rows, processor) for gold in prepared.golds()]
    assert counted == made
    longest = max(counted)
    refuse_longer(longest, prepared, rows, processor)
    with pytest.raises(SggError, match=f"or {longest} or more"):
        refuse_longer(longest - 1, prepared, rows, processor)


@pytest.mark.slow
def test_trl_is_told_no_limit_even_where_none_is_given(tmp_path):
    """Its own, 1024, would cut in silence."""
    from sgg.train.trl_args import trl_args

    config = configured(tmp_path, "stage.args.max_length=4096")
    assert trl_args(config, tmp_path).max_length is None
    del config.stage.args["max_length"]
    assert trl_args(config, tmp_path).max_length is None
