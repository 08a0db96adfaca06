"""Cures of other libraries' faults, a module for each library."""
