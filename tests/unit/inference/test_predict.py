"""Where predictions are written: none takes another's place."""

from pathlib import Path

from sgg.inference.predict import _reserved


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
