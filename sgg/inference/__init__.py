"""Completions of a model for images: requests, engines, and prediction for one image."""
