"""Gold and a prediction drawn on their image, with hits and misses under a protocol."""

from __future__ import annotations

from PIL import Image

from sgg.drawing.layout import Marks, layout
from sgg.drawing.raster import png
from sgg.metrics.judged import judged, judged_objects
from sgg.metrics.tally import Task
from sgg.scene.graph import SceneGraph


def gold_and_prediction(
    image: Image.Image, gold: SceneGraph, pred: SceneGraph, task: Task
) -> tuple[Image.Image, Image.Image]:
    """Two pictures: gold, where what was found is a hit, and the prediction, where what is right is one.

    Boxes are in pixels of the image. A hit is what the protocol counts as one (`metrics.judged`).
    """
    found, right = judged(pred, gold, task)
    found_objects, right_objects = judged_objects(pred, gold, task)
    return (
        png(image, layout(gold, image.size, Marks(found_objects, found))),
        png(image, layout(pred, image.size, Marks(right_objects, right))),
    )
