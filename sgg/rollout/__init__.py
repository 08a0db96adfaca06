"""GRPO's completions by vLLM: TRL's two modes, their faults worked around and every wait bounded."""
