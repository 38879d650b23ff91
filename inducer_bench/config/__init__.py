"""Configuration: Hydra composition, typed schemas, validation in one line, and the identity of a run.

Nothing here imports torch, so that bad input is refused and finished runs are skipped at once.
"""
