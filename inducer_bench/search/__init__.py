"""Searches of hyperparameters: every method with the same effort, each trial an ordinary run."""
