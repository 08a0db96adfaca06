"""What vLLM's CPU build lacks for GRPO rollouts: loading weights again, and sending them to a server.

Its linear layers keep packed copies and drop the weights that TRL would load into. Unpacked, they compute on
the weights as they are, and TRL's own way of loading works as it does on a GPU. TRL pushes to a server
through NCCL, which CPUs lack: there weights travel in a file in memory.
"""

from __future__ import annotations

EXTENSION = "sgg.rollout.cpu_worker.TakesWeights"
"""What a server's worker is extended with."""


def keep_matrices_loadable() -> None:
    """Have layers made from now on compute by torch's own `linear`; in each process before the engine."""
    from vllm import _custom_ops
    from vllm.model_executor.layers import utils

    _custom_ops._supports_onednn = False
    utils.check_cpu_sgl_kernel = lambda *shape_and_dtype: False
