"""One machine for all: configs that look for GPUs find one, and no site's own options."""

import pytest


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("SGG_CONF", raising=False)
