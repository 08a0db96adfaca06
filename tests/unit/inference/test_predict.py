"""Where predictions are written: none takes another's place."""

from pathlib import Path

from sgg.cli.predict import _summary
from sgg.inference.predict import _reserved
from sgg.scene.graph import Edge, Node, SceneGraph
from sgg.text.codec import Parsed
from sgg.text.problems import ErrorKind, Problem


def test_what_was_read_is_said_with_what_was_wrong():
    box = (0.0, 0.0, 1.0, 1.0)
    graph = SceneGraph((Node("man", box), Node("dog", box)), (Edge(0, "on", 1),))
    assert _summary(Parsed(graph)) == "2 objects, 1 relations"
    kinds = (ErrorKind.malformed, ErrorKind.empty, ErrorKind.malformed)
    nothing = Parsed(SceneGraph(()), tuple(Problem(kind) for kind in kinds))
    assert _summary(nothing) == (
        "0 objects, 0 relations; problems of the completion: malformed 2, empty 1"
    )


def test_no_prediction_overwrites_another(tmp_path):
    images = ["cat.jpg", "cat.png", "a/cat.jpg", "b/cat.jpg", "CAT.JPG", "dog.v2.jpg", "dog.v2.jpg"]
    names = [_reserved(tmp_path, Path(image)).name for image in images]
    assert names == [
        "cat.graph.json",
        "cat.png.graph.json",
        "cat.jpg.graph.json",
        "cat.jpg.2.graph.json",
        "CAT.JPG.3.graph.json",
        "dog.v2.graph.json",
        "dog.v2.jpg.graph.json",
    ]
    assert len({name.lower() for name in names}) == len(names)


def test_files_that_were_there_stay(tmp_path):
    (tmp_path / "cat.graph.png").write_text("mine")
    assert _reserved(tmp_path, Path("cat.jpg")).name == "cat.jpg.graph.json"
    assert (tmp_path / "cat.graph.png").read_text() == "mine"
