"""Models and processors: weights from anywhere, loaded as the config says; the tiny ones that are shipped."""
