"""The table of sources against the config: each has a record, options and a test of its reader."""

from pathlib import Path

import pytest
from data_files import config

from sgg.config.compose import compose_config
from sgg.config.data import DataConfig, ImageSource, Source, SplitConfig
from sgg.config.tree import options_of
from sgg.data.sources.source import Split
from sgg.data.sources.table import SOURCES
from sgg.errors import SggError


@pytest.fixture(scope="module")
def composed():
    """`data` of every option."""
    return [compose_config([f"data={name}"]).data for name in options_of("data")]


def test_every_source_of_the_config_has_a_record():
    assert set(SOURCES) == set(Source)


def test_every_source_has_an_option(composed):
    assert {data.source for data in composed} == set(Source)


def test_what_an_option_says_of_its_splits_is_read(composed):
    """Else it would be refused from a command line, and mean nothing in the file."""
    for data in composed:
        for split in (data.train, data.eval):
            assert split.path is None or SOURCES[data.source].reads_path
            assert split.name is None or SOURCES[data.source].reads_name


def test_a_part_knows_its_split_and_its_key(tmp_path):
    data = config("jsonl", tmp_path, {"path": "a.jsonl"}, train=SplitConfig(path="b.jsonl"))
    train, evaluated = Split(data, "train"), Split(data, "eval")
    assert (train.file(), evaluated.file()) == (tmp_path / "b.jsonl", tmp_path / "a.jsonl")
    assert (train.key, evaluated.key) == ("data.train.path", "data.eval.path")


def test_images_lie_in_their_folder_or_in_the_root(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    assert Split(config("jsonl", tmp_path), "eval").images() == tmp_path.resolve()
    there = config("jsonl", tmp_path, image_folder=str(images))
    assert Split(there, "eval").images() == images.resolve()
    there.image_source = ImageSource.painted
    assert Split(there, "eval").images() is None
    missing = config("jsonl", tmp_path, image_folder=str(tmp_path / "none"))
    with pytest.raises(SggError, match=r"data\.image_folder=.*none: no such folder"):
        Split(missing, "eval").images()


def test_a_part_without_a_path_names_the_key(tmp_path):
    with pytest.raises(SggError, match=r"data\.eval\.path must be given"):
        Split(config("gqa", tmp_path), "eval").file()


def test_image_files_of_a_hub_table_lie_in_the_hubs_caches(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    data = DataConfig(source=Source.rows, train=SplitConfig(path="org/name"))
    assert tmp_path / "hub" in Split(data, "train").folders()
    assert Path.home() not in Split(data, "train").folders()
