"""Pieces of a report's HTML, by jinja2 with autoescape: what comes from data or a model stays text."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

Html = Markup
"""Text that is HTML already; all other text is escaped where it is put in."""


def piece(name: str, *values: Any, **named: Any) -> Html:
    """One of the macros of `templates/pieces.html`."""
    return Markup(getattr(_pieces(), name)(*values, **named))


def page(title: str, body: Iterable[Html]) -> str:
    """A whole page; loads nothing from anywhere."""
    return str(piece("page", title, list(body)))


def section(title: str, body: Iterable[Html]) -> Html:
    """A heading and what stands under it."""
    return piece("section", title, list(body))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table; numbers are right-aligned, floats shown with four digits."""
    return piece("table", head, list(rows))


def details(summary: str, text: str) -> Html:
    """Preformatted text behind a click."""
    return piece("details", summary, text)


def items(rows: Iterable[tuple[str, str]]) -> Html:
    """A list of (css class, text)."""
    return piece("items", list(rows))


def image_tag(image: Image.Image, alt: str) -> Html:
    """An image inside the page, as JPEG."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=85)
    return piece("image", alt, base64.b64encode(buffer.getvalue()).decode())


@cache
def _pieces() -> Any:
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("pieces.html").module
