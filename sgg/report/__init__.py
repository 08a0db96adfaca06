"""Metrics and predictions -> tables and HTML."""
