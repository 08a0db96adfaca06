"""Cures of other libraries' faults, a module for each library: the fault, its report, the test that outlives it."""
