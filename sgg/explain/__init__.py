"""Error messages: what a user can mend, and the exit code of a command."""
