"""Files of run and sweep folders: all that is written there is written and read here."""
