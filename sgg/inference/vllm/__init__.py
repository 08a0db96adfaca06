"""vLLM in this process or as a server, asked for what transformers would compute."""
