"""Completions by OpenAI-compatible servers: one exchange, which server, what they serve, the engine."""
