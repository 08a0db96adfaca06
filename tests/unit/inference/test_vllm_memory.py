"""A full memory names the keys of the engine that ran out of it."""

import pytest
import torch
from PIL import Image

from sgg.errors import SggError
from sgg.inference.generate import Batch, Request, Sampling
from sgg.inference.vllm.engine import VllmRequests
from sgg.inference.vllm.limits import ColocatedLimits, EngineLimits
from sgg.models.processor import load_processor
from sgg.models.weights import locate
from sgg.text.prompt import BRIEF, messages

REASON = "CUDA out of memory. Tried to allocate 2.00 GiB."


class FullEngine:
    """vLLM's `LLM` on a GPU whose memory is full at the first step; no test may fill a real one."""

    llm_engine = property(lambda self: self)

    def enqueue(self, prompts, parameters, use_tqdm):
        return ["0-a"]

    def step(self):
        raise torch.OutOfMemoryError(REASON)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.parametrize(
    ("kind", "named", "unnamed"),
    [
        (
            EngineLimits,
            ["generate.gpu_memory_utilization=0.25", "generate.batch_size=8"],
            ["stage.evaluate", "stage.micro_batch"],
        ),
        (
            ColocatedLimits,
            [
                "hardware.rollout.gpu_memory_utilization=0.25",
                *("stage.max_pixels", "stage.micro_batch", "stage.evaluate.engine=hf"),
            ],
            ["generate.gpu_memory_utilization", "more room"],
        ),
    ],
)
def test_the_keys_that_help_are_named(kind, named, unnamed):
    processor = load_processor(locate("tiny_qwen2_5_vl"), 3136, 12544)
    limits = kind(in_flight=8, max_length=1024, gpu_memory_utilization=0.25, gpu=True)
    requests = VllmRequests(FullEngine(), processor, Sampling(max_new_tokens=4), limits, ends=[0])
    asked = Request("a", messages(BRIEF, ""), Image.new("RGB", (60, 60)))
    with pytest.raises(SggError) as told:
        list(requests.completions(iter([Batch(0, [asked], {("a", 0)})])))
    message = str(told.value)
    assert REASON in message
    assert [key for key in named if key not in message] == []
    assert [key for key in unnamed if key in message] == []
