"""One attention call for each layer of a vision tower, against transformers' loop over segments."""

import pytest
import torch
from torch.nn import functional
from transformers import AttentionInterface

from sgg.config.model import Attention, ModelConfig
from sgg.config.tree import CONF_DIR
from sgg.models import load, tiny, vision_attention
from sgg.models.families import FAMILIES, TinySize
from sgg.models.load import load_model
from sgg.models.weights import locate

GRIDS = {
    "one image": [(1, 16, 16)],
    "odd windows": [(1, 10, 14)],
    "several sizes": [(1, 16, 16), (1, 4, 2), (1, 10, 14), (1, 16, 16), (1, 18, 8)],
}
"""Frames, rows and columns of patches of each image; a window has 8 × 8."""

EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda f: f.name.name)
SHIPPED = [f for f in FAMILIES.values() if (CONF_DIR / f"model/tiny_{f.name.name}.yaml").is_file()]


@pytest.fixture
def tokenizer(family):
    return tiny.build_tokenizer(family)


def tower_of(family, tokenizer):
    size = TinySize(layers=1, vision_layers=3)
    return tiny.build_model(family, size, tokenizer, seed=0).get_submodule(family.tower).train()


def features_and_gradients(tower, grid):
    """What a tower makes of fixed pixels, and the gradient of each of its parameters."""
    grid = torch.tensor(grid)
    generator = torch.Generator().manual_seed(0)
    patches = int(grid.prod(-1).sum())
    pixels = torch.randn(patches, tower.patch_embed.proj.weight[0].numel(), generator=generator)
    tower.zero_grad()
    out = tower(pixels, grid_thw=grid)
    features = torch.cat([out.pooler_output, *getattr(out, "deepstack_features", [])])
    features.backward(torch.randn(features.shape, generator=generator))
    return features.detach(), {name: p.grad.clone() for name, p in tower.named_parameters()}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "gradient checkpointing"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@EACH
def test_it_is_the_loop_bit_for_bit_on_a_cpu(family, grid, checkpointing, tokenizer):
    tower = tower_of(family, tokenizer)
    expected, expected_gradients = features_and_gradients(tower, grid)
    if checkpointing:
        tower.gradient_checkpointing_enable({"use_reentrant": False})
    vision_attention.use_packed_attention(tower.config)
    features, gradients = features_and_gradients(tower, grid)
    assert torch.equal(features, expected)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, expected_gradients[name]), name


@EACH
def test_a_layer_calls_attention_once_for_each_length(family, tokenizer, monkeypatch):
    lengths = []

    def counted(query, key, value):
        lengths.append(query.shape[2])
        return functional.scaled_dot_product_attention(query, key, value)

    monkeypatch.setattr(vision_attention, "scaled_dot_product_attention", counted)
    tower = tower_of(family, tokenizer)
    vision_attention.use_packed_attention(tower.config)
    features_and_gradients(tower, [(1, 16, 16), (1, 16, 16)])
    windows = family.tiny_tower(TinySize(vision_layers=3)).get("window_size")
    # all three layers see whole images of 256 patches, or the last one does and the others windows of 64
    assert lengths == ([256] * 3 if windows is None else [64, 64, 256])


@pytest.mark.parametrize("attention", [Attention.sdpa, Attention.eager], ids=lambda a: a.name)
@pytest.mark.parametrize("family", SHIPPED, ids=lambda f: f.name.name)
def test_only_a_tower_that_is_loaded_with_sdpa_has_it(family, attention):
    source = locate(f"tiny_{family.name.name}")
    model = ModelConfig(path=str(source), family=family.name, attention=attention)
    loaded = load_model(model, source, torch.float32, seed=0)
    sdpa = attention is Attention.sdpa
    expected = vision_attention.PACKED if sdpa else "eager"
    layers = [m for n, m in loaded.named_modules() if n.endswith(".attn")]
    assert {layer.config._attn_implementation for layer in layers} == {expected}
    assert loaded.config._attn_implementation == attention.name
    assert loaded.get_submodule(family.language).config._attn_implementation == attention.name


def test_the_name_is_not_saved_with_a_model(tmp_path):
    source = locate("tiny_qwen2_5_vl")
    model = ModelConfig(path=str(source), family=load.family_of(source).name)
    load_model(model, source, torch.float32, seed=0).save_pretrained(tmp_path)
    assert vision_attention.PACKED in AttentionInterface().valid_keys()
    assert vision_attention.PACKED not in (tmp_path / "config.json").read_text()


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch's varlen kernel runs on GPUs alone"
)
@pytest.mark.parametrize("lengths", [[64] * 36, [64, 64, 32, 16, 2304, 8]], ids=str)
def test_the_gpus_kernel_agrees_with_one_call_for_each_length(lengths):
    generator = torch.Generator("cuda").manual_seed(0)
    shape = (sum(lengths), 3, 16, 80)
    qkv = torch.randn(shape, generator=generator, device="cuda", dtype=torch.bfloat16)
    ends = torch.tensor([0, *lengths], device="cuda").cumsum(0, dtype=torch.int32)
    with_gradient = [qkv.clone().requires_grad_() for _ in range(2)]
    q, k, v = (t[None].transpose(1, 2) for t in with_gradient[0].unbind(1))
    packed, _ = vision_attention.packed_attention(
        torch.nn.Identity(), q, k, v, None, cu_seq_lens_q=ends, max_length_q=max(lengths)
    )
    grouped = vision_attention.grouped_attention(*with_gradient[1].float().unbind(1), lengths)
    torch.testing.assert_close(packed[0].float(), grouped, atol=0.02, rtol=0.02)
    for out in (packed, grouped):
        out.float().square().sum().backward()
    torch.testing.assert_close(with_gradient[0].grad, with_gradient[1].grad, atol=0.05, rtol=0.05)
