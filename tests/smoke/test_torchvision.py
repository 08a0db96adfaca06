"""Images reach a model alike with torchvision and without, and a torchvision without its library loads."""

import importlib.util
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None,
    reason="torchvision is not installed: make setup-vllm brings it along",
)

HIDE = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torchvision" else find(name, *rest)
"""
DIGEST = """
import hashlib, sys
import numpy as np
from PIL import Image
from sgg.models.families import FAMILIES
from sgg.models.processor import load_processor
from sgg.models.weights import locate
random = np.random.default_rng(0)
digest = hashlib.sha256()
for family in FAMILIES:
    processor = load_processor(locate(f"tiny_{family.name}"), 3136, 50176)
    for height, width in random.integers(20, 500, (10, 2)):
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        seen = processor(text=["a <|image_pad|> b"], images=[[image]], return_tensors="pt")
        for name in ("input_ids", "pixel_values", "image_grid_thw"):
            digest.update(seen[name].numpy().tobytes())
print("torchvision" in sys.modules, digest.hexdigest())
"""


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


@pytest.mark.slow
def test_pixels_and_tokens_are_the_same_with_and_without_torchvision():
    (loaded, seen), (hidden, seen_without) = printed(DIGEST), printed(HIDE + DIGEST)
    assert (loaded, hidden) == ("True", "False")
    assert seen == seen_without


@pytest.mark.slow
def test_sgg_makes_torchvision_load():
    words = printed(
        "import sgg, torchvision; from transformers import Qwen2VLProcessor; print('ok')"
    )
    assert words == ["ok"]
