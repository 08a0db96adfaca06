"""What every data source yields, before and after checking.

A source reads strangers' files into `RawExample`: names and boxes as they are written, relations by
written id, nothing corrected. `clean.clean` turns that into an `Example` and says what it met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sgg.data.fields import reason
from sgg.scene.graph import SceneGraph

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object as annotated."""

    id: str
    name: str
    box: tuple[float, ...]
    """Four numbers if the annotation is whole, as `Policy.box_format` says; checked later."""
    problem: str = ""
    """Kind of what the source's own rules say against it (`clean.KINDS`)."""
    odd: str = ""
    """Kind of what is odd about how it is written and costs nothing."""


@dataclass(frozen=True, slots=True)
class RawRelation:
    """A relation as annotated, ends by written id."""

    subject: str
    predicate: str
    object: str
    problem: str = ""
    """Kind of what the source's own rules say against it (`clean.KINDS`)."""


@dataclass(frozen=True, slots=True)
class RawExample:
    """One row of a source, unchecked."""

    image_id: str
    image_ref: str
    """Where `images.ImageStore` finds the image; empty if the row has none."""
    width: int
    height: int
    objects: tuple[RawObject, ...]
    relations: tuple[RawRelation, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further text columns of the row, such as prompt_open."""
    image_problem: str = ""
    """Kind of what is wrong with the image (`clean.KINDS`), if the size had to be asked from it."""
    image_digest: str = ""
    """`sources.base.image_digest` of an image that the row holds itself."""
    looked_for: tuple[str, ...] = ()
    """Files that a missing image was looked for as, where there are several or none is its reference."""
    image_odd: frozenset[str] = frozenset()
    """Kinds of what is odd about the image and costs nothing, if it had to be asked."""
    broken: str = ""
    """Why the row could not be read at all; empty if it could."""

    @property
    def image_file(self) -> str:
        """Path of the file that the image lies in; empty where it lies in none."""
        return self.image_ref.removeprefix("file:") if self.image_ref.startswith("file:") else ""

    @staticmethod
    def unreadable(image_id: str, error: Exception, file: str = "") -> RawExample:
        """What a reader returns for a row that has not the source's form.

        Args:
            file: where it stands, unless the id says so.

        """
        where = f", in {file}" if file else ""
        return RawExample(image_id, "", 0, 0, (), (), broken=f"{reason(error)}{where}")


@dataclass(frozen=True, slots=True)
class Example:
    """One image and its gold graph, checked: what training and evaluation see."""

    image_id: str
    image: Image
    width: int
    height: int
    graph: SceneGraph
    """Boxes in original pixels."""
    columns: Mapping[str, str] = field(default_factory=dict)
