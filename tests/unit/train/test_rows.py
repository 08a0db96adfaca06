"""Rows for TRL: an image that fails is reported as an image, whoever asks for the row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image
from torch.utils.data import DataLoader

from sgg.config.compose import compose_config
from sgg.data.prepare import image_store, prepare
from sgg.errors import SggError
from sgg.models.spec import prompter
from sgg.train.rows import GrpoRows, SftRows, as_trl_dataset, words_of_loaders
from sgg.train.trl_args import words_of_trl

OBJECTS = [{"id": "man.1", "bbox": [10, 10, 50, 60]}]


@pytest.fixture(scope="module")
def composed():
    return compose_config(["data=jsonl", "data.root=.", "data.workers=1", "prompt=open"])


@pytest.fixture
def parts(composed, tmp_path):
    """Three images, prepared: (config, prepared)."""
    for i in range(3):
        Image.new("RGB", (100, 80), "red").save(tmp_path / f"{i}.png")
    rows = [
        {"image": f"{i}.png", "width": 100, "height": 80, "objects": OBJECTS, "relationships": []}
        for i in range(3)
    ]
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = replace(composed, data=replace(composed.data, root=str(tmp_path)))
    return config, prepare(config.data, "train", tmp_path / "cache", quiet=True)


def lost(path):
    path.unlink()
    return "is missing"


def cut(path):
    path.write_bytes(path.read_bytes()[:60])
    return "cannot be decoded (OSError:"


def other_size(path):
    Image.new("RGB", (80, 100)).save(path)
    return "is 80 × 100, but was prepared as 100 × 80"


def other_format(path):
    path.write_text("no image")
    return "cannot be decoded (UnidentifiedImageError:"


@pytest.mark.parametrize(
    ("kind", "change", "workers"),
    [
        (SftRows, lost, 0),
        (SftRows, cut, 0),
        (SftRows, other_size, 0),
        (GrpoRows, other_format, 0),
        (GrpoRows, cut, 1),  # in a process of its own
    ],
)
def test_a_image_that_changed_names_itself_and_the_way_out(parts, tmp_path, kind, change, workers):
    config, prepared = parts
    rows = as_trl_dataset(prepared, kind(image_store(config.data, "train"), prompter(config)))
    what = change(tmp_path / "1.png")
    assert rows[0]["image"].size == (100, 80)
    loader = DataLoader(rows, batch_size=1, num_workers=workers, collate_fn=list)
    with pytest.raises(SggError) as caught, words_of_trl(), words_of_loaders():
        list(loader)
    said = str(caught.value)
    assert said.startswith(f"data.train: image {tmp_path}/1.png {what}")
    assert "`sgg prepare`" in said
    assert "data.image_check=decode" in said
    assert "stage.args" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("error", [TypeError("x"), ValueError("x"), NotImplementedError("x")])
def test_a_fault_of_ours_is_never_told_as_one_of_stage_args(parts, error):
    _, prepared = parts

    def make_row(row):
        raise error

    rows = as_trl_dataset(prepared, make_row)
    with (
        pytest.raises(RuntimeError, match=r"data\.train: the row of image 0 fails"),
        words_of_trl(),
    ):
        next(iter(rows))


def test_what_trl_refuses_is_told_with_its_key():
    with (
        pytest.raises(SggError, match=r"^stage\.args: TRL refuses them: no such thing"),
        words_of_trl(),
    ):
        raise ValueError("no such thing")


def test_other_errors_pass_a_loader_as_they_are():
    with pytest.raises(SggError, match=r"^Caught in the rain$"), words_of_loaders():
        raise SggError("Caught in the rain")
    with pytest.raises(KeyError), words_of_loaders():
        raise KeyError("x")
