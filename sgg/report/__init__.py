"""Metrics and answers -> tables and HTML."""
