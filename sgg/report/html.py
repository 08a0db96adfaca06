"""Small pieces of HTML. Everything that comes from data or a model is escaped here, once."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from PIL import Image

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c2430}
h1,h2,h3{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid #ccd3dc}
table{border-collapse:collapse;margin:.8rem 0}td,th{padding:.25rem .7rem;border:1px solid #d6dce4}
th{background:#f1f4f8;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}
.grid{display:flex;flex-wrap:wrap;gap:1rem}.card{border:1px solid #d6dce4;padding:.7rem;border-radius:.4rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;margin:1rem 0}
img{max-width:100%;height:auto}ul{margin:.4rem 0;padding-left:1.2rem}
.hit{color:#1a7f37}.miss{color:#b42318}pre{background:#f6f8fa;padding:.8rem;overflow:auto}
.small{color:#5b6675;font-size:13px}
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; loads nothing from anywhere."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{''.join(body)}</body></html>\n"
    )


def section(title: str, body: Iterable[str]) -> str:
    """A heading and what stands under it."""
    return f"<h2>{escape(title)}</h2>{''.join(body)}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers are right-aligned and shown with four digits."""
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def details(summary: str, text: str) -> str:
    """Preformatted text behind a click."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def items(rows: Iterable[tuple[str, str]]) -> str:
    """A list of (css class, text)."""
    listed = "".join(f"<li class='{escape(c)}'>{escape(text)}</li>" for c, text in rows)
    return f"<ul>{listed or '<li>none</li>'}</ul>"


def picture(image: Image.Image, alt: str) -> str:
    """An image inside the page."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<img alt='{escape(alt, quote=True)}' src='data:image/jpeg;base64,{data}'>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"<td class='n'>{value:.4f}</td>"
    kind = " class='n'" if isinstance(value, int) else ""
    return f"<td{kind}>{escape(str(value))}</td>"
