"""Adapters go onto matrices that are there: all of those that are named, or none."""

import subprocess
import sys

import pytest

from sgg.config.compose import compose_config
from sgg.errors import SggError
from sgg.models.lora import check_targets
from sgg.models.weights import locate, matrices
from sgg.plan.presence import Preflight

ADAPTER = ["model.lora.enable=true", "stage.optimizer.kind=trl"]
WRONG = {
    "[qkv]": "qkv is no matrix of the language model",  # the vision tower's
    "[all-linear]": "all-linear is no matrix",
    "[lm_head]": "lm_head is no matrix",
    "[input_layernorm]": "input_layernorm is no matrix",
    "['.*']": ".* is no matrix",
    "[q_proj,q_prj]": "q_prj is no matrix of the language model. Did you mean 'q_proj'?",
    "[qkv,q_prj]": "qkv, q_prj are no matrix",
}


def configured(*words):
    return compose_config([*ADAPTER, *words])


@pytest.mark.parametrize("targets", WRONG)
def test_a_target_that_fits_nothing_is_told_before_the_run_has_a_folder(targets):
    with pytest.raises(SggError) as error:
        Preflight().check(configured(f"model.lora.targets={targets}"))
    assert f"model.lora.targets: {WRONG[targets]}" in str(error.value)
    assert "Adapters go onto these: down_proj, gate_proj, k_proj, o_proj, q_proj" in str(
        error.value
    )


def test_that_needs_no_torch():
    code = (
        "import sys; from sgg.config.compose import compose_config; from sgg.plan.presence import Preflight; "
        f"Preflight().check(compose_config({ADAPTER!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_the_names_of_published_checkpoints_are_known_too():
    """Older ones have no `language_model` in them, and the tower is called `visual`."""
    names = ["model.layers.0.self_attn.q_proj", "visual.blocks.0.attn.qkv", "lm_head"]
    check_targets(configured("model.lora.targets=[q_proj]").model, names)
    with pytest.raises(SggError, match="Adapters go onto these: q_proj"):
        check_targets(configured("model.lora.targets=[qkv]").model, names)


def test_the_headers_name_what_the_loaded_model_has():
    import torch

    from sgg.models.load import load_model

    config = compose_config([])
    folder = locate(config.model.path)
    model = load_model(config.model, folder, torch.float32, 0)
    linear = {n.rpartition(".")[2] for n, m in model.named_modules() if type(m) is torch.nn.Linear}
    assert linear - {"lm_head"} <= {name.rpartition(".")[2] for name in matrices(folder)}


@pytest.mark.parametrize("targets", WRONG)
def test_the_loaded_model_is_held_against_them_too(targets):
    """Weights that an earlier step of a pipeline makes are not there when it starts."""
    import torch

    from sgg.models.load import load_model

    config = configured(f"model.lora.targets={targets}")
    with pytest.raises(SggError, match=r"model\.lora\.targets"):
        load_model(config.model, locate(config.model.path), torch.float32, 0)
