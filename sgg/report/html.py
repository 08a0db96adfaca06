"""A report's HTML, by jinja2 with autoescape, and its one script.

What comes from data or a model stays text: it is escaped in HTML, and in JSON that the script reads.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

Html = Markup
"""Text that is HTML already; all other text is escaped where it is put in."""

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = (
    "dom.js",
    "theme.js",
    "table.js",
    "scroll.js",
    "picture.js",
    "gallery.js",
    "looks.js",
    "chart.js",
    "training.js",
    "parallel.js",
    "start.js",
)
"""Parts of the page's script, in their order; `start.js` calls the others."""
_IN_JSON = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(name: str, **values: Any) -> Html:
    """A template of `templates/`."""
    return Markup(_environment().get_template(name).render(**values))


def breakable(text: str) -> Html:
    """A name that a narrow column may break after `/`, `-` and `_`; escaped.

    >>> breakable("a/b_c")
    Markup('a/<wbr>b_<wbr>c')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[/_-])(?=[^/_-])", text))


def json_block(name: str, value: Any) -> Html:
    """Data for the page's script, as an element that no browser runs; nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_IN_JSON)
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')


@cache
def script() -> Html:
    """The page's script; strict, and nothing of it is global."""
    parts = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return Markup(f'"use strict";\n(() => {{\n{parts}}})();\n')


@cache
def style() -> Html:
    """The page's style sheet."""
    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))


def policy() -> str:
    """What the page may do: run its own script, use its own style, show images that are in it. No network."""
    return "; ".join(_directives())


def _directives() -> Iterator[str]:
    yield "default-src 'none'"
    yield "img-src data:"
    yield f"style-src '{_digest(style())}'"
    yield f"script-src '{_digest(script())}'"
    yield "form-action 'none'"
    yield "base-uri 'none'"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    return environment
