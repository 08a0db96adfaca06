"""The tools of the command line: a module for each, with `main(argv)`, and what they share."""
