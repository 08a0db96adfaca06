"""What an engine is asked: each image once, by its own prompt; shuffled, with the next one's image."""

import numpy as np
import pytest

from sgg.config.compose import compose_config
from sgg.data import prepared_split
from sgg.data.prepare import image_store, prepare
from sgg.inference.generate import Completion, Questions, generate_split
from sgg.models.spec import prompter

COUNT = 5


class Engine:
    """Generates at once, and keeps what it was asked."""

    batch_size = 2

    def __init__(self):
        self.asked = []

    def completions(self, batches):
        for batch in batches:
            self.asked += batch.requests
            for request in batch.requests:
                yield (request.image_id, 0), Completion("{}", 1, truncated=False)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_row_is_read_once_for_each_image_it_gives(shuffled, tmp_path, monkeypatch):
    config = compose_config(["stage=eval", f"data.eval.limit={COUNT}"])
    split = prepare(config.data, "eval", tmp_path / "cache", quiet=True)
    store = image_store(config.data, "eval")
    images = [split.example(index, store).image for index in range(COUNT)]
    read, from_dict = [], prepared_split.from_dict
    monkeypatch.setattr(
        prepared_split, "from_dict", lambda graph: read.append(graph) or from_dict(graph)
    )
    engine = Engine()
    questions = Questions(split, store, prompter(config), shuffle_images=shuffled)
    generate_split(engine, questions, tmp_path)
    assert len(read) == COUNT * (1 + shuffled)
    assert [request.image_id for request in engine.asked] == split.image_ids
    for index, request in enumerate(engine.asked):
        np.testing.assert_array_equal(request.image, images[(index + shuffled) % COUNT])
