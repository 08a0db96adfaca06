"""`sgg draw`: a graph and an image in, a picture out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from strategies import completion

from sgg.cli.draw import main
from sgg.errors import SggError
from sgg.explain.exit_codes import run_and_report

OBJECTS = [("man.1", [20, 20, 300, 400]), ("dog.2", [400, 200, 600, 460])]
CONTENT = json.loads(completion(OBJECTS, [("man.1", "near", "dog.2"), ("dog.2", "on", "man.1")]))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (640, 480), "grey").save("photo.jpg")
    put("photo.graph.json", CONTENT | {"width": 640, "height": 480})
    return tmp_path


def put(name, content):
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))


def texts(name):
    return [e.text for e in ET.parse(name).iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_stands_beside_the_graph_and_overwrites_nothing(folder, capsys):
    put("photo.graph.png", "mine")
    for _ in range(2):
        main(["photo.graph.json", "photo.jpg"])
    said = capsys.readouterr()
    assert said.out.split() == ["photo.graph.2.png", "photo.graph.3.png"]
    assert said.err.splitlines()[0] == "2 objects, 2 relations"
    assert Path("photo.graph.png").read_text() == "mine"
    picture = Image.open("photo.graph.2.png")
    assert picture.size == (853, 640)
    assert (np.asarray(picture) != np.asarray(Image.open("photo.jpg").resize((853, 640)))).any()


def test_svg_has_the_image_in_it(folder):
    main(["photo.graph.json", "photo.jpg", "out=a.svg"])
    assert sorted(texts("a.svg")) == ["dog.2", "man.1", "near", "on"]
    assert "data:image/jpeg;base64," in Path("a.svg").read_text()
    main(["photo.graph.json", "photo.jpg", "out=b.SVG", "beside=true"])
    assert len(texts("b.SVG")) > len(texts("a.svg"))


def test_without_an_image_the_graph_is_drawn_without_boxes(folder):
    put("answer.txt", f"<answer>{json.dumps(CONTENT)}</answer>")
    main(["answer.txt", "out=a.svg"])
    assert texts("a.svg") == ["man.1", "near", "dog.2", "dog.2", "on", "man.1"]
    assert "<image" not in Path("a.svg").read_text()
    main(["answer.txt"])
    assert Image.open("answer.txt.png").size > (100, 50)


def test_boxes_of_a_frame_are_scaled(folder):
    """(0, 0)..(1000, 1000) is the whole image: its outline is at the edges."""
    put("a.txt", completion([("man.1", [0, 0, 1000, 500])]))
    main(["a.txt", "photo.jpg", "frame=1000", "out=a.png"])
    pixels = np.asarray(Image.open("a.png")).astype(int)
    assert abs(pixels[320, 400] - 128).max() > 40  # half of 640 down
    assert abs(pixels[500, 400] - 128).max() < 10


def test_hits_and_misses_against_gold(folder, capsys):
    gold = completion(OBJECTS, [("man.1", "near", "dog.2"), ("man.1", "feeds", "dog.2")])
    lines = [{"image": "other.jpg", "objects": [], "relationships": []}]
    lines.append({"image": "images/photo.jpg", **json.loads(gold)})
    put("gold.jsonl", "\n".join(map(json.dumps, lines)))
    main(["photo.graph.json", "photo.jpg", "gold=gold.jsonl", "out=a.svg"])
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [
        "protocol sgg: 1 of 2 gold relations found, 1 of 2 drawn ones are hits",
        "  not found: man feeds dog",
    ]
    assert Path("a.svg").read_text().count("stroke-dasharray") == 2  # one miss, and its halo


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["none.json", "photo.jpg"], "none.json: no such file"),
        (["photo.graph.json", "none.jpg"], "none.jpg: no such image"),
        (["photo.graph.json", "photo.graph.json"], "not an image that can be decoded"),
        (
            ["photo.graph.json", "small.png"],
            "is of an image of 640 × 480 pixels, and small.png has 64 × 48",
        ),
        (["keys.json", "photo.jpg"], 'the keys are "nodes"'),
        (["text.txt", "photo.jpg"], "text.txt has no object that can be drawn"),
        (["photo.graph.json", "photo.jpg", "out=a.jpg"], "out=a.jpg: a picture is .png or .svg"),
        (["photo.graph.json", "photo.jpg", "out=no/a.png"], "no folder no"),
        (["photo.graph.json", "photo.jpg", "out=there.png"], "out=there.png is there already"),
        (["photo.graph.json", "photo.jpg", "out=link.png"], "out=link.png is there already"),
        (["photo.graph.json", "photo.jpg", "frame=100"], "frame=100: allowed are pixels, 1000 and"),
        (["photo.graph.json", "photo.jpg", "line=0"], "line=0: a number from 1"),
        (["photo.graph.json", "photo.jpg", "beside=yes"], "beside=yes: allowed are true and false"),
        (["photo.graph.json", "photo.jpg", "besides=true"], "Did you mean 'beside'?"),
        (["photo.graph.json", "photo.jpg", "b.jpg"], "b.jpg: sgg draw draws one graph a call"),
        (["photo.graph.json", "photo.jpg", "protocol=sgg"], "protocol=sgg would be ignored"),
        (["photo.graph.json", "photo.jpg", "vocabulary=psg"], "vocabulary would be ignored"),
        (["photo.graph.json", "gold=photo.graph.json"], "gold= needs IMAGE"),
        (["photo.graph.json", "beside=true"], "beside= needs IMAGE"),
        (["photo.graph.json", "photo.jpg", "gold=text.txt"], "text.txt has no object"),
        (
            ["photo.graph.json", "photo.jpg", "gold=g", "seed=1"],
            "seed is read by runs, not by `sgg draw`",
        ),
        (["photo.graph.json", "photo.jpg", "gold=g", "vocabulary=vg15"], "Did you mean 'vg150'?"),
        (
            ["photo.graph.json", "photo.jpg", "gold=g", "protocol=psg_test_r1sgg"],
            "Say which: vocabulary=",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_leaves_no_file(folder, words, phrase):
    Image.new("RGB", (64, 48)).save("small.png")
    put("keys.json", {"nodes": [], "edges": []})
    put("text.txt", "There is a man.")
    put("there.png", "mine")
    (folder / "link.png").symlink_to("elsewhere.png")
    before = sorted(Path().iterdir())
    with pytest.raises(SggError, match=re.escape(phrase)):
        main(words)
    assert sorted(Path().iterdir()) == before
    assert Path("there.png").read_text() == "mine"


def test_names_that_would_steer_a_terminal_or_a_browser_are_text(folder, capsys):
    evil = "\x1b[31m<script>alert(1)</script>\u202e"
    put("a.json", completion([(f"{evil}.1", [0, 0, 99, 99])], [(f"{evil}.1", evil, f"{evil}.1")]))
    put("gold.json", completion([("man.1", [0, 0, 99, 99])], [("man.1", evil, "man.1")]))
    words = ["a.json", "photo.jpg", "gold=gold.json", "out=a.svg"]
    assert run_and_report(lambda: main(words)) == 0
    assert "\x1b" not in capsys.readouterr().err
    assert "<script>alert(1)</script>" in texts("a.svg")
    assert "<script" not in Path("a.svg").read_text()


def test_help_comes_at_once():
    code = """
import sys
from sgg.main import _tool
try:
    _tool("draw", ["--help"])
finally:
    assert not {"hydra", "omegaconf", "numpy", "PIL"} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sgg draw photo.graph.json photo.jpg" in done.stdout
