"""`datasets` keeps its copies below the test's folder and never calls out."""

from __future__ import annotations

import datasets
import huggingface_hub.constants
import pytest


@pytest.fixture(autouse=True)
def _local_datasets(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "hf_datasets"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
