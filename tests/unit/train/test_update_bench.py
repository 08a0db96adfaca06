"""bench/grpo_update.py: both ways give the same, and what it calls the limit is what torch counts."""

import pytest
import torch
from benches import load
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from sgg.config.model import Family

load("grpo_update")
from update import models, worker  # noqa: E402  # of bench/, which `load` puts on the path
from update.cases import Case, inputs  # noqa: E402
from update.flops import flops  # noqa: E402

CASE = Case(60, 24, 20, 4)
SIZE = models.Size(64, 128, 2, 2, 1, 64, 128, 2, 2, rows=512)


@pytest.fixture(scope="module", params=Family, ids=lambda family: family.name)
def built(request, tmp_path_factory):
    """A way to its model."""
    folder = tmp_path_factory.mktemp(request.param.name) / "model"
    models.write_config(request.param, SIZE, folder)
    return lambda way: models.load(way, folder, request.param, "cpu")


def test_completions_have_the_lengths_of_the_case():
    config = AutoConfig.for_model("qwen2_5_vl", image_token_id=models.IMAGE)
    taken = inputs(CASE, config, "cpu")
    assert sorted(CASE.lengths) == [15, 18, 22, 25]
    assert taken["input_ids"].shape == (4, 60 + 25)
    assert taken["attention_mask"].sum(1).tolist() == [60 + n for n in CASE.lengths]
    assert ((taken["input_ids"] == models.IMAGE).sum(1) == 24).all()
    grids = taken["image_grid_thw"].prod(1)
    assert (grids == 4 * 24).all()
    assert taken["pixel_values"].shape[0] == grids.sum()


def test_ways_give_the_same(built, tmp_path):
    kept = {}
    for way in (models.TRL, models.OURS):
        worker._update(built(way), CASE, "cpu", tmp_path / f"{way}.pt")
        kept[way] = torch.load(tmp_path / f"{way}.pt")
    theirs, ours = kept.values()
    assert theirs["log_probs"].any()
    assert theirs["entropies"].any()
    for name in ("log_probs", "entropies"):
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-5, rtol=1e-5)
    assert theirs["gradients"].keys() == ours["gradients"].keys()
    for name, grad in theirs["gradients"].items():
        torch.testing.assert_close(ours["gradients"][name], grad, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("way", [models.TRL, models.OURS])
def test_counted_operations_are_those_of_torch(built, way):
    """Matrix products and convolutions; torch counts attention by its kernels."""
    model = built(way)
    # TRL's kernel calls it, and torch does not count it
    added = {torch.ops.aten.addmm_: lambda _, a, b, **shape: 2 * a[0] * a[1] * b[1]}
    with FlopCounterMode(display=False, custom_mapping=added) as counter:
        worker._update(model, CASE, "cpu", None)
    kinds = {"mm", "addmm", "addmm_", "convolution", "convolution_backward"}
    seen = {str(op).split(".")[-1]: n for op, n in counter.get_flop_counts()["Global"].items()}
    counted = flops(model, CASE, way, scores_all=True)
    expected = sum(counted.values()) - counted["attention"]
    assert sum(n for op, n in seen.items() if op in kinds) == pytest.approx(expected, rel=0.001)
