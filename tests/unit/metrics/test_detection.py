"""AP of boxes on cases whose value is known. COCO reads precision at recalls 0, .01, …, 1."""

from __future__ import annotations

import pytest
from strategies import scene

from sgg.config.protocol import BoxArea, ProtocolConfig
from sgg.metrics.arrays import Names, to_arrays
from sgg.metrics.detection import AveragePrecision, average_precision, match_boxes
from sgg.scene.graph import SceneGraph

MAN, DOG = ("man", (0, 0, 100, 100)), ("dog", (200, 200, 300, 300))
FAR = (500, 500, 600, 600)


def ap(*pairs, **protocol):
    return of_graphs([(scene(pred), scene(gold)) for pred, gold in pairs], **protocol)


def of_graphs(pairs, **protocol):
    names = Names()
    rows = [
        (i, to_arrays(pred, names), to_arrays(gold, names), False)
        for i, (pred, gold) in enumerate(pairs)
    ]
    return average_precision(match_boxes(rows, ProtocolConfig(**protocol)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_defect_v_a_perfect_image_gives_1(count):
    """The reference's annotation id 0 made it .667 with three objects."""
    nodes = [MAN, DOG, ("hat", FAR)][:count]
    found = ap((nodes, nodes))
    assert (found.ap50, found.ap) == (pytest.approx(1), pytest.approx(1))


def test_one_hit_then_one_miss_of_two_gold():
    """Precision 1 up to recall .5, nothing beyond: 51 of 101 points."""
    found = ap(([MAN, ("man", FAR)], [MAN]), ([], [MAN]))
    assert found.ap50 == pytest.approx(51 / 101)


def test_a_miss_before_two_hits():
    """Order of images ranks ties. Precision 0, 1/2, 2/3; the envelope is 2/3 at every recall."""
    found = ap(([("man", FAR), MAN], [MAN]), ([MAN], [MAN]))
    assert found.ap50 == pytest.approx(2 / 3)


def test_a_second_box_on_one_gold_is_a_miss():
    """Hit, duplicate, hit: precision 1 to recall .5 (51 points), then 2/3 (50 points)."""
    found = ap(([MAN, MAN], [MAN]), ([MAN], [MAN]))
    assert found.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_ap_averages_ten_thresholds():
    """IoU .72 passes .5, .55, .6, .65, .7 of ten."""
    found = ap(([("man", (0, 0, 100, 72))], [MAN]))
    assert found.ap50 == pytest.approx(1)
    assert found.ap == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("pred", "passed"),
    [
        # moved by 20 of 100 in x: 80 / 120 = .667
        ((120, 50, 220, 250), 4),
        # moved by 40 of 200 in y: 160 / 240
        ((100, 90, 200, 290), 4),
        # 104 of 200 high: .52
        ((100, 50, 200, 154), 1),
    ],
)
def test_boxes_off_the_origin_overlap_as_they_should(pred, passed):
    found = ap(([("man", pred)], [("man", (100, 50, 200, 250))]))
    assert found.ap50 == pytest.approx(1)
    assert found.ap == pytest.approx(passed / 10)


def test_a_crowded_image_counts_all_its_boxes():
    """60 of one class: COCO's tables also hold limits of 1 and 10 detections."""
    crowd = [("man", (10 * i, 0, 10 * i + 9, 9)) for i in range(60)]
    assert ap((crowd, crowd)).ap50 == pytest.approx(1)


def test_a_class_without_predictions_counts_0_and_one_without_gold_does_not_count():
    """Classes man 1 and dog 0; the predicted cat is outside gold's classes."""
    assert ap(([MAN, ("cat", FAR)], [MAN, DOG])).ap50 == pytest.approx(1 / 2)


def test_classes_are_canonical_names():
    assert ap(([("Door Stuff", FAR)], [("door-stuff", FAR)])).ap50 == pytest.approx(1)


def test_a_box_in_another_image_is_a_miss():
    assert ap(([], [MAN]), ([MAN], [])).ap50 == 0


def test_nothing_gives_0():
    for pairs in ([], [(SceneGraph(), SceneGraph())], [(scene([MAN]), SceneGraph())]):
        assert of_graphs(pairs) == AveragePrecision(ap=0, ap50=0)
    assert (ap(([], [MAN])).ap50, ap(([("cat", FAR)], [MAN])).ap) == (0, 0)


def test_pycocotools_chatter_is_kept_from_the_terminal(capsys):
    ap(([MAN], [MAN]))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("before", "found"), [(99, True), (100, False)])
def test_a_hundred_boxes_of_a_class_count_in_an_image(before, found):
    """The right one stands after 99 wrong ones (precision 1/100), or after 100, which is too late."""
    said = [("man", (500 + i, 500, 505 + i, 505)) for i in range(before)] + [MAN]
    assert ap((said, [MAN])).ap50 == pytest.approx(1 / 100 if found else 0)


@pytest.mark.parametrize(("width", "passed"), [(50, 1), (49.9, 0), (95, 10), (94.9, 9)])
def test_a_threshold_of_ap_is_inclusive(width, passed):
    found = ap(([("man", (0, 0, width, 100))], [MAN]))
    assert found.ap == pytest.approx(passed / 10)
    assert found.ap50 == pytest.approx(float(passed > 0))


@pytest.mark.parametrize(
    ("high", "area", "found"),
    [
        (48.5, BoxArea.plain, 0),
        (48.5, BoxArea.plus_one, 1),
        (48, BoxArea.plus_one, 0),
    ],
)
def test_a_box_of_corner_pixels_is_one_wider_and_higher(high, area, found):
    """Of 98: 48.5/98 is below .5, 49.5/99 is not; 49/99 is (50/100 would not be)."""
    said, gold = ("man", (0, 0, 9, high)), ("man", (0, 0, 9, 98))
    assert ap(([said], [gold]), coco_box_area=area).ap50 == pytest.approx(found)
