"""Run folders -> what a report shows of them, as plain values. Reads files only."""
