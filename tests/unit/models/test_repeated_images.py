"""Patches of an image that comes again are those of transformers' own processor, bit for bit."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from sgg.models import tiny
from sgg.models.families import FAMILIES
from sgg.models.processor import build_processor
from sgg.models.repeated_images import PatchCache

EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name.name)


def photo(seed, size=(90, 60), mode="RGB"):
    drawn = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(drawn).convert(mode)


def processors(family):
    """Ours, keeping patches, and one that keeps none."""
    tokenizer, area = tiny.build_tokenizer(family), family.factor**2
    ours, plain = (build_processor(tokenizer, family, 4 * area, 16 * area) for _ in range(2))
    ours.keep_patches()
    return ours, plain


@pytest.fixture
def counted(monkeypatch):
    """Sizes of the images that were resized."""
    sizes, theirs = [], Qwen2VLImageProcessorPil.resize

    def resize(self, image, **settings):
        sizes.append(image.shape[-2:])
        return theirs(self, image, **settings)

    monkeypatch.setattr(Qwen2VLImageProcessorPil, "resize", resize)
    return sizes


def check_equal(ours, plain, images, **settings):
    found, expected = (
        p.image_processor(images=images, return_tensors="pt", **settings) for p in (ours, plain)
    )
    assert found.keys() == expected.keys() == {"pixel_values", "image_grid_thw"}
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@EACH
def test_patches_are_those_without_a_cache(family):
    ours, plain = processors(family)
    one, other = photo(0), photo(1, (200, 70))
    for _ in range(2):
        check_equal(ours, plain, [[one], [one], [other], [photo(0)]])
        check_equal(
            ours, plain, [one, photo(2, mode="L"), photo(2, mode="RGBA"), photo(3, mode="P")]
        )
        check_equal(ours, plain, other, do_normalize=False)
        check_equal(ours, plain, np.asarray(one))


def test_an_image_is_computed_once_over_copies_and_calls(counted):
    ours, _ = processors(next(iter(FAMILIES.values())))
    one, other = photo(0), photo(1)
    ours.image_processor(images=[[one], [one], [photo(0)], [other]])
    ours.image_processor(images=[photo(1), one])
    assert len(counted) == 2


def test_other_pixels_of_the_same_object_and_other_settings_are_computed(counted):
    ours, plain = processors(next(iter(FAMILIES.values())))
    image = photo(0)
    ours.image_processor(images=[image])
    image.putpixel((0, 0), (1, 2, 3))
    check_equal(ours, plain, [image])
    check_equal(ours, plain, [image], do_rescale=False)
    assert len(counted) == 3 + 2  # two by the plain one


def test_without_being_told_nothing_is_kept(counted):
    _, plain = processors(next(iter(FAMILIES.values())))
    for _ in range(2):
        plain.image_processor(images=[photo(0)])
    assert len(counted) == 2


def test_the_images_asked_for_longest_ago_go_first():
    patches = np.zeros((1, 10), np.float32), np.zeros((1, 3), np.int64)
    cache = PatchCache(100)
    for key in "ab":
        cache.put(key, patches)
    assert cache.get("a") is patches
    cache.put("c", patches)
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    cache.put("c", patches)
    assert cache.bytes == 80
    cache.put("d", (np.zeros((1, 26), np.float32), patches[1]))  # larger than all
    assert (cache.get("d"), cache.bytes) == (None, 80)


@EACH
def test_what_is_saved_and_copied_is_without_images(family, tmp_path):
    ours, plain = processors(family)
    ours.image_processor(images=[photo(0)])
    for name, processor in {"ours": ours, "plain": plain}.items():
        processor.save_pretrained(tmp_path / name)
        processor.image_processor.save_pretrained(tmp_path / name / "images")
    for file in (tmp_path / "plain").rglob("*.*"):
        assert (
            file.read_bytes()
            == (tmp_path / "ours" / file.relative_to(tmp_path / "plain")).read_bytes()
        )
    saved = json.loads((tmp_path / "ours/processor_config.json").read_text())["image_processor"]
    assert saved["image_processor_type"] == "Qwen2VLImageProcessor"
    again = pickle.loads(pickle.dumps(ours.image_processor))
    assert (ours.image_processor.cache.bytes > 0, again.cache.bytes) == (True, 0)
    check_equal(ours, plain, [photo(0)])


def test_threads_get_the_same_patches():
    ours, plain = processors(next(iter(FAMILIES.values())))
    ours.image_processor.cache = PatchCache(300_000)  # of four images: some are dropped meanwhile
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: ours.image_processor(images=[photo(i % 9)]), range(90)))
    for number, made in enumerate(found):
        expected = plain.image_processor(images=[photo(number % 9)])
        assert np.array_equal(made["pixel_values"], expected["pixel_values"])
    assert 0 < ours.image_processor.cache.bytes <= 300_000
