"""The terms of the reward: pure functions of a case."""
