"""Weight files are looked at before anything is loaded: damaged ones are named, with what to do."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from sgg.errors import SggError
from sgg.models.weights import locate, matrices, parameters

WHOLE = (locate("tiny_qwen2_5_vl") / "model.safetensors").read_bytes()
HEADER = 8 + int.from_bytes(WHOLE[:8], "little")


@pytest.fixture
def folder(tmp_path):
    """A checkpoint folder that may be spoilt."""
    return shutil.copytree(locate("tiny_qwen2_5_vl"), tmp_path / "model")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:5],
        WHOLE[: HEADER - 1],
        WHOLE[:HEADER],
        WHOLE[:-1],
        WHOLE + b"\0",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"<!DOCTYPE html><html>not found</html>",
    ],
    ids=["empty", "stub", "half a header", "header", "cut", "padded", "git-lfs pointer", "page"],
)
def test_a_damaged_file_is_named_with_the_way_out(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(SggError) as error:
        locate(str(folder))
    told = str(error.value)
    assert told.startswith(f"model.path={folder}: the checkpoint is damaged: model.safetensors is ")
    assert "no whole safetensors file" in told
    assert told.endswith("Copy it again, or take an earlier one (model.path=RUN_DIR/checkpoint-N).")


def test_a_file_without_tensors_is_no_model(folder):
    save_file({}, folder / "model.safetensors")
    with pytest.raises(SggError, match=r"model\.safetensors holds no weights"):
        locate(str(folder))


def test_the_damaged_one_of_several_is_named(folder):
    """Whole shards beside it do not hide it."""
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name in names:
        save_file({name[:11]: torch.zeros(3)}, folder / name)
    index = {"weight_map": {name[:11]: name for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert locate(str(folder)) == folder
    with (folder / names[1]).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(SggError, match=f"damaged: {names[1]} is no whole"):
        locate(str(folder))


def test_shapes_are_told_of_every_dtype_without_loading(folder):
    tensors = {
        "a.weight": torch.zeros(3, 5, dtype=torch.bfloat16),
        "b.weight": torch.zeros(7),
        "c.bias": torch.zeros(2, 2, dtype=torch.float16),
        "scalar": torch.tensor(1.0),
    }
    save_file(tensors, folder / "model.safetensors")
    assert matrices(folder) == ["a"]
    assert parameters(folder) == 15 + 7 + 4 + 1
