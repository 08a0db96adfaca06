"""`generate`: how completions are generated in evaluation and prediction."""

from dataclasses import dataclass, field
from enum import Enum


class Engine(Enum):
    """What generates text."""

    hf = "hf"
    """transformers' generate."""
    vllm = "vllm"
    """vLLM in each process, on the process's own GPU or on the CPU."""
    server = "server"
    """OpenAI-compatible servers that run already."""


@dataclass
class GenerateConfig:
    """How completions are generated; `sgg predict` always uses transformers, whatever `engine` says."""

    engine: Engine = Engine.hf
    batch_size: int = 8
    """engine=hf: images per batch. engine=vllm: completions generated concurrently in one process.
    engine=server: requests in flight over all servers, per process."""
    gpu_memory_utilization: float = 0.9
    """engine=vllm: part of a GPU's memory that vLLM may take; it has the GPU to itself in evaluation."""
    num_completions: int = 1
    """Completions per image."""
    max_new_tokens: int = 1024
    """Longest completion, tokens."""
    temperature: float = 0.0
    """0 for greedy."""
    top_p: float = 1.0
    """Nucleus sampling: draw from the smallest set of most probable tokens whose probabilities add up to at
    least this; 1 for all tokens."""
    top_k: int = 0
    """0 for no limit."""
    servers: list[str] = field(default_factory=list)
    """engine=server: their addresses, such as http://127.0.0.1:8000, without /v1."""
    server_model: str | None = None
    """engine=server: the name by which they know the model; null for the only one that they list."""
    api_key_env: str = "OPENAI_API_KEY"
    """engine=server: name of the environment variable that holds the key, if they want one. SGG_SERVER_KEY,
    the key of `sgg serve`, signs requests and responses and is not sent."""
    request_timeout_s: float = 600.0
    """engine=server: longest wait for one request, seconds."""
