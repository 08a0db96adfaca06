"""Names: the class lists of the field's data sets, and how two spellings are compared.

The lists are facts of the data sets, in their own order (index = class id, 0-based): VG150 from
VG-SGG-dicts (Xu et al., arXiv 1701.02426), PSG from psg.json (Yang et al., arXiv 2207.11247).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

_SEPARATORS = re.compile(r"[\s_\-]+")


@lru_cache(maxsize=65536)
def canonical(name: str) -> str:
    """The form in which names are compared: lower case, one space for any of space, `_` and `-`.

    >>> canonical(" Door-Stuff"), canonical("in_front of")
    ('door stuff', 'in front of')
    """
    return _SEPARATORS.sub(" ", name.lower()).strip()


@dataclass(frozen=True)
class Vocabulary:
    """The object and predicate names of a data set, in class-id order."""

    name: str
    objects: tuple[str, ...]
    predicates: tuple[str, ...]

    def knows_object(self, name: str) -> bool:
        """Whether the canonical form of `name` is an object class."""
        return canonical(name) in self._known_objects

    def knows_predicate(self, name: str) -> bool:
        """Whether the canonical form of `name` is a predicate."""
        return canonical(name) in self._known_predicates

    @cached_property
    def _known_objects(self) -> frozenset[str]:
        return frozenset(map(canonical, self.objects))

    @cached_property
    def _known_predicates(self) -> frozenset[str]:
        return frozenset(map(canonical, self.predicates))


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in " ".join(text.split()).split(","))


VG150_OBJECTS = _names(
    """
    airplane, animal, arm, bag, banana, basket, beach, bear, bed, bench, bike, bird, board,
    boat, book, boot, bottle, bowl, box, boy, branch, building, bus, cabinet, cap, car, cat,
    chair, child, clock, coat, counter, cow, cup, curtain, desk, dog, door, drawer, ear,
    elephant, engine, eye, face, fence, finger, flag, flower, food, fork, fruit, giraffe, girl,
    glass, glove, guy, hair, hand, handle, hat, head, helmet, hill, horse, house, jacket, jean,
    kid, kite, lady, lamp, laptop, leaf, leg, letter, light, logo, man, men, motorcycle,
    mountain, mouth, neck, nose, number, orange, pant, paper, paw, people, person, phone,
    pillow, pizza, plane, plant, plate, player, pole, post, pot, racket, railing, rock, roof,
    room, screen, seat, sheep, shelf, shirt, shoe, short, sidewalk, sign, sink, skateboard, ski,
    skier, sneaker, snow, sock, stand, street, surfboard, table, tail, tie, tile, tire, toilet,
    towel, tower, track, train, tree, truck, trunk, umbrella, vase, vegetable, vehicle, wave,
    wheel, window, windshield, wing, wire, woman, zebra
    """
)
"""150 object classes of VG150."""

VG150_PREDICATES = _names(
    """
    above, across, against, along, and, at, attached to, behind, belonging to, between,
    carrying, covered in, covering, eating, flying in, for, from, growing on, hanging from, has,
    holding, in, in front of, laying on, looking at, lying on, made of, mounted on, near, of,
    on, on back of, over, painted on, parked on, part of, playing, riding, says, sitting on,
    standing on, to, under, using, walking in, walking on, watching, wearing, wears, with
    """
)
"""50 predicates of VG150."""

PSG_OBJECTS = _names(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
    hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
    zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports
    ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine
    glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot
    dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book,
    clock, vase, scissors, teddy bear, hair drier, toothbrush, banner, blanket, bridge,
    cardboard, counter, curtain, door-stuff, floor-wood, flower, fruit, gravel, house, light,
    mirror-stuff, net, pillow, platform, playingfield, railroad, river, road, roof, sand, sea,
    shelf, snow, stairs, tent, towel, wall-brick, wall-stone, wall-tile, wall-wood, water-other,
    window-blind, window-other, tree-merged, fence-merged, ceiling-merged, sky-other-merged,
    cabinet-merged, table-merged, floor-other-merged, pavement-merged, mountain-merged,
    grass-merged, dirt-merged, paper-merged, food-other-merged, building-other-merged,
    rock-merged, wall-other-merged, rug-merged
    """
)
"""133 object classes of PSG: 80 things, then 53 kinds of stuff."""

PSG_PREDICATES = _names(
    """
    over, in front of, beside, on, in, attached to, hanging from, on back of, falling off, going
    down, painted on, walking on, running on, crossing, standing on, lying on, sitting on,
    flying over, jumping over, jumping from, wearing, holding, carrying, looking at, guiding,
    kissing, eating, drinking, feeding, biting, catching, picking, playing with, chasing,
    climbing, cleaning, playing, touching, pushing, pulling, opening, cooking, talking to,
    throwing, slicing, driving, riding, parked on, driving on, about to hit, kicking, swinging,
    entering, exiting, enclosing, leaning on
    """
)
"""56 predicates of PSG."""


SHAPES_OBJECTS = tuple(
    f"{colour} {shape}"
    for colour in ("red", "green", "blue", "yellow")
    for shape in ("circle", "square", "triangle", "cross")
)
"""16 object classes of the synthetic scenes: a colour and a shape."""

SHAPES_PREDICATES = ("left of", "right of", "above", "below", "inside", "around")
"""6 predicates of the synthetic scenes; `data.shapes` defines each one by geometry."""

VOCABULARIES = {
    "vg150": Vocabulary("vg150", VG150_OBJECTS, VG150_PREDICATES),
    "psg": Vocabulary("psg", PSG_OBJECTS, PSG_PREDICATES),
    "shapes": Vocabulary("shapes", SHAPES_OBJECTS, SHAPES_PREDICATES),
}
"""Every vocabulary by the name that `data.vocabulary` takes."""
