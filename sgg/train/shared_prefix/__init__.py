"""Completions of one prompt share its pass: prompt and images are computed once for all of them."""
