"""The evaluation stage: predictions of any origin against the gold of a split."""
