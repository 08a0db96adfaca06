"""The held-out images of a training: a metric that cannot differ between checkpoints is refused."""

import pytest

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.evaluation.held_out import HeldOut

LONE = ["data.shapes.min_objects=1", "data.shapes.max_objects=1"]


def of(cache, metric, *words):
    every = ["stage.evaluate.every_steps=5", f"stage.evaluate.keep_best={metric}"]
    limit = ["data.eval.limit=4", "stage.evaluate.images=3", f"paths.cache={cache}"]
    return HeldOut.of(compose_config(["stage=sft", *every, *limit, *words]))


def test_images_are_the_first_ones(tmp_path):
    assert len(of(tmp_path, "R").questions.prepared) == 3


@pytest.mark.parametrize("metric", ["R", "mR", "F1", "R_deduplicated"])
def test_relations_are_not_compared_where_there_are_none(tmp_path, metric):
    said = rf"keep_best={metric}: the first 3 images of data.eval have no relations.*AP50"
    with pytest.raises(SggError, match=said):
        of(tmp_path, metric, *LONE)


@pytest.mark.parametrize("metric", ["AP50", "failure_rate", "object_recall"])
def test_objects_are(tmp_path, metric):
    assert len(of(tmp_path, metric, *LONE).questions.prepared) == 3
