"""Data sets: files of many kinds -> checked examples."""
