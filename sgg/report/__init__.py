"""Metrics and answers -> tables and HTML. Reads files only."""
