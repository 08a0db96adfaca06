"""Answers of a model to images: requests, engines, and prediction for one image."""
