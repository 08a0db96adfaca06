"""Sweeps: points, submission, status, resume, cancel."""
