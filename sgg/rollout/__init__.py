"""GRPO's completions by vLLM: TRL's two modes with their faults cured and every wait bounded."""
