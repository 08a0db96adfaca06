"""Checksums tell what a resumed run has loaded from what its checkpoint saved."""

import copy
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from sgg.errors import SggError
from sgg.models.muon import MuonAdamW
from sgg.train import checksums
from sgg.train.checksums import RECORD, CheckLoaded, checksum, differences, take, write

MODULUS = 1 << 64


def plain(values):
    """The definition, on Python's integers."""
    return sum(bits * (2 * index + 1) for index, bits in enumerate(values)) % MODULUS


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40), st.integers(1, 9))
def test_a_checksum_is_its_definition_however_it_is_cut(values, chunk):
    tensor = torch.tensor(values, dtype=torch.int32).view(torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "_CHUNK", chunk)
        assert checksum(tensor) == plain(values)


def test_sums_that_overflow_are_modulo_2_to_the_64():
    bits = np.random.default_rng(0).integers(-(2**31), 2**31, 300_001, dtype=np.int32)
    weights = 2 * np.arange(len(bits), dtype=np.uint64) + np.uint64(1)
    expected = (bits.astype(np.int64).view(np.uint64) * weights).sum(dtype=np.uint64)
    assert checksum(torch.from_numpy(bits)) == int(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_one_element_and_an_exchange_show(dtype):
    tensor = torch.randn(7, 5).to(dtype)
    assert checksum(tensor.T.contiguous().T) == checksum(tensor)  # another layout of the same
    changed, exchanged = tensor.clone(), tensor.clone()
    changed[3, 2] = torch.nextafter(changed[3, 2].double(), torch.tensor(9.0).double()) + 0.5
    exchanged[[0, 1]] = exchanged[[1, 0]]
    assert len({checksum(t) for t in (tensor, changed, exchanged)}) == 3


def test_the_last_bit_shows():
    tensor = torch.ones(1000)
    nudged = tensor.clone()
    nudged[777] = torch.nextafter(nudged[777], torch.tensor(2.0))
    assert checksum(nudged) != checksum(tensor)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.proj(x)


def a_trainer(adapters=("default", "ref"), optimizer=torch.optim.AdamW):
    """A model with adapters that has taken one step, and what trains it."""
    torch.manual_seed(0)
    model = Layer()
    for index, name in enumerate(adapters):
        settings = LoraConfig(r=2, target_modules=["proj"])
        if index:
            model.add_adapter(name, settings)
        else:
            model = get_peft_model(model, settings, adapter_name=name)
            model.base_model.model.proj.base_layer.bias.requires_grad_()  # AdamW's part of MuonAdamW
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if optimizer is MuonAdamW:
        optimizer = MuonAdamW(learning, 0.1, 0.1)
    else:
        optimizer = optimizer([p for _, p in learning], lr=0.1)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return SimpleNamespace(model=model, optimizer=optimizer, ref_model=None)


def test_groups_are_the_base_each_adapter_the_reference_and_the_optimiser():
    trainer = a_trainer()
    trainer.ref_model = Layer()
    taken = take(trainer)
    assert {group: len(parts) for group, parts in taken.items()} == {
        "the base below the adapter": 2,
        "the adapter 'default'": 2,
        "the adapter 'ref'": 2,
        "the reference model": 2,
        "the optimiser": 1,
    }
    whole = SimpleNamespace(model=Layer(), optimizer=trainer.optimizer)  # SFT's has no ref_model
    assert take(whole).keys() == {"the model", "the optimiser"}


def test_equal_trainers_have_no_differences():
    assert differences(take(a_trainer()), take(a_trainer())) == {}


@pytest.mark.parametrize(
    ("part", "group"),
    [
        ("lora_B.default", "the adapter 'default'"),
        ("lora_A.ref", "the adapter 'ref'"),
        ("base_layer", "the base below the adapter"),
    ],
)
def test_what_differs_is_named(part, group):
    saved, trainer = take(a_trainer()), a_trainer()
    name, weight = next((n, p) for n, p in trainer.model.named_parameters() if part in n)
    with torch.no_grad():
        weight.view(-1)[1] += 1
    assert differences(saved, take(trainer)) == {
        group: f"1 of 2 checksums differ, the first of {name}"
    }


def test_a_group_that_is_missing_or_new_differs():
    two, one = take(a_trainer()), take(a_trainer(("default",)))
    assert differences(two, one).keys() == {"the adapter 'ref'"}
    assert differences(one, two).keys() == {"the adapter 'ref'"}


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, MuonAdamW])
def test_an_optimiser_that_starts_empty_differs_if_it_has_a_state(kind):
    trainer = a_trainer(optimizer=kind)
    saved = take(trainer)
    state = copy.deepcopy(trainer.optimizer.state_dict())
    fresh = a_trainer(optimizer=kind)
    with torch.no_grad():
        fresh.optimizer.state.clear()
        for part in getattr(fresh.optimizer, "_parts", []):
            part.state.clear()
    expected = set() if kind is torch.optim.SGD else {"the optimiser"}
    assert differences(saved, take(fresh)).keys() == expected
    fresh.optimizer.load_state_dict(state)
    assert differences(saved, take(fresh)) == {}


def begin(trainer, checkpoint):
    state = SimpleNamespace(is_world_process_zero=True)
    CheckLoaded(trainer, checkpoint, "runs/sft").on_train_begin(None, state, None)


@pytest.mark.parametrize(
    ("part", "phrases"),
    [
        (
            "lora_B.default",
            ["the adapter 'default': 1 of 2", "would lose what was learnt", "Remove"],
        ),
        ("base_layer", ["the base below the adapter: 1 of 2", "model.path=runs/sft must hold"]),
    ],
)
def test_a_run_that_holds_something_else_does_not_begin(tmp_path, part, phrases):
    trainer = a_trainer()
    write(tmp_path, take(trainer))
    begin(trainer, tmp_path)
    weight = next(p for n, p in trainer.model.named_parameters() if part in n)
    with torch.no_grad():
        weight.view(-1)[0] = 7
    with pytest.raises(SggError) as told:
        begin(trainer, tmp_path)
    for phrase in [f"{tmp_path}: what was loaded is not what was saved", *phrases]:
        assert phrase in str(told.value)


def test_a_checkpoint_without_checksums_is_resumed_from_and_that_is_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "sgg"):
        begin(a_trainer(), tmp_path)
    assert not (tmp_path / RECORD).exists()
    assert [r.message for r in caplog.records] == [
        f"{tmp_path.name} was saved by a version that wrote no checksums: it is resumed from without "
        "the check that what was loaded is what was saved"
    ]
