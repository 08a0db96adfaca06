"""Rewards: pure terms, their mix, and the door to TRL."""
