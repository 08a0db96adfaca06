"""Gold and prediction in pictures: what is drawn as a hit is what the protocol counts as one."""

from __future__ import annotations

import numpy as np
from PIL import Image
from strategies import scene

from sgg.config.protocol import ProtocolConfig
from sgg.drawing.colours import OF_MARK
from sgg.evaluation.pictures import gold_and_prediction
from sgg.metrics.tally import Task

GOLD = scene([("man", (20, 20, 300, 400)), ("dog", (400, 200, 600, 460))], [(0, "near", 1)])
ALL_WRONG = scene([("cat", (20, 20, 300, 400)), ("cup", (400, 200, 600, 460))], [(0, "near", 1)])


def colours(image):
    """Which of the marks' colours the picture has."""
    pixels = {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}
    rgb = {name: tuple(bytes.fromhex(colour[1:])) for name, colour in OF_MARK.items()}
    return {name for name, colour in rgb.items() if colour in pixels}


def test_a_right_prediction_is_all_hits_and_a_wrong_one_all_misses():
    image, task = Image.new("RGB", (640, 480), "white"), Task(ProtocolConfig())
    for picture in gold_and_prediction(image, GOLD, GOLD, task):
        assert colours(picture) == {"hit"}
    for picture in gold_and_prediction(image, GOLD, ALL_WRONG, task):
        assert colours(picture) == {"miss"}


def test_objects_are_judged_by_themselves():
    """Right objects and a wrong predicate: boxes are hits, the arrow is a miss."""
    pred = scene([(node.name, node.box) for node in GOLD.nodes], [(0, "eats", 1)])
    image, task = Image.new("RGB", (640, 480), "white"), Task(ProtocolConfig())
    for picture in gold_and_prediction(image, GOLD, pred, task):
        assert colours(picture) == {"hit", "miss"}


def test_a_prediction_without_objects_leaves_the_image_as_it_is():
    image = Image.new("RGB", (640, 640), "white")
    gold, pred = gold_and_prediction(image, GOLD, scene(), Task(ProtocolConfig()))
    assert colours(gold) == {"miss"}
    assert pred.tobytes() == image.tobytes()
