"""The final model is written into a folder of its own, and through no link that lay there."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from sgg.runs.checkpoint import is_marked_complete
from sgg.runs.folder import MODEL_FOLDER
from sgg.train.loop import _keep_model


@pytest.fixture
def trainer(tmp_path):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "vocab_size": 8}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads))
    return Trainer(model, TrainingArguments(str(tmp_path / "run"), use_cpu=True, report_to=[]))


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_in_an_unfinished_model_is_not_written_through(trainer, tmp_path, is_folder):
    """Its text is the base model's, so anybody's."""
    folder, elsewhere = tmp_path / "run" / MODEL_FOLDER, tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text("mine")
    folder.parent.mkdir(exist_ok=True)
    if is_folder:
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        (folder / "config.json").symlink_to(elsewhere / "config.json")
    _keep_model(trainer, tmp_path / "run", merge=True)
    assert [path.name for path in elsewhere.iterdir()] == ["config.json"]
    assert (elsewhere / "config.json").read_text() == "mine"
    assert not any(path.is_symlink() for path in (folder, *folder.iterdir()))
    assert is_marked_complete(folder)
    assert (folder / "model.safetensors").is_file()
