"""One node's part of a run: its place, its processes, and how they end."""
