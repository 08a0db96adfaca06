"""What is refused, a module for each group of the config."""
