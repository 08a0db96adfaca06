"""Graphs as text: prompts, rendering, parsing, and grammars."""
