"""The words of vLLM's server, in both modes and with and without a GPU."""

import os
import tempfile
import uuid

import pytest
import torch

from sgg.compat.vllm_cpu import EXTENSION
from sgg.config.compose import compose_config
from sgg.inference.vllm import middleware, setup
from sgg.inference.vllm.server import Mode, arguments
from sgg.models.weights import locate

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
TINY = locate("tiny_qwen2_5_vl")


def words(mode, gpu=False, *more):
    config = compose_config(["stage=eval", f"hardware.gpu={str(gpu).lower()}", *more])
    return arguments(config, mode, "name", TINY, torch.float32, "127.0.0.1", 8000)


@pytest.fixture(scope="module")
def parse():
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    return make_arg_parser(FlexibleArgumentParser()).parse_args


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("gpu", [False, True])
def test_vllm_takes_the_words(parse, mode, gpu):
    parsed = parse(words(mode, gpu))
    assert (parsed.host, parsed.port, parsed.served_model_name) == ("127.0.0.1", 8000, ["name"])
    assert parsed.allowed_origins == []
    assert parsed.allowed_media_domains == ["none.invalid"]
    assert parsed.api_key is None  # a command line is read by everybody
    (path,) = parsed.middleware
    module, _, name = path.rpartition(".")
    assert module == middleware.__name__
    assert name == {Mode.evaluation: "EvaluationAccess", Mode.rollout: "RolloutAccess"}[mode]
    assert hasattr(middleware, name)


def test_what_differs_by_mode(parse):
    more = "generate.batch_size=7", "generate.gpu_memory_utilization=0.5"
    evaluation = parse(words(Mode.evaluation, True, *more, "hardware.rollout.mode=server"))
    rollout = parse(words(Mode.rollout, True, *more, "hardware.rollout.mode=server"))
    assert (evaluation.max_num_seqs, rollout.max_num_seqs) == (7, None)
    assert (evaluation.gpu_memory_utilization, rollout.gpu_memory_utilization) == (0.5, 0.9)
    assert (evaluation.enable_scale_out, rollout.enable_scale_out) == (False, True)
    assert evaluation.worker_extension_cls == rollout.worker_extension_cls == ""
    assert evaluation.weight_transfer_config is None
    without_gpu = parse(words(Mode.rollout))
    assert without_gpu.worker_extension_cls == EXTENSION
    assert without_gpu.weight_transfer_config is None


def test_a_rollout_server_is_told_what_trl_tells_its_own():
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    theirs = build_command(ScriptArguments("model"))
    imposed = theirs[theirs.index("--enable-scale-out") :]
    ours = words(Mode.rollout, True)
    assert imposed[-2:] == ["--max-logprobs", "-1"]
    for at, word in enumerate(imposed):
        if word.startswith("--"):
            value = imposed[at + 1 : at + 2]
            where = ours.index(word)
            assert not value or value[0].startswith("--") or ours[where + 1] == value[0]


@pytest.mark.parametrize("letters", [10, 71, 200])
def test_sockets_open_whatever_the_length_of_the_temporary_folder(letters, tmp_path, monkeypatch):
    zmq = pytest.importorskip("zmq")
    folder = tmp_path / ("x" * letters)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(os, "environ", {})
    setup.set_environment(gpu=True)
    base = os.environ.get("VLLM_RPC_BASE_PATH", tempfile.gettempdir())
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind(f"ipc://{base}/{uuid.uuid4()}")
