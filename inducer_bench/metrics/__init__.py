"""Metrics: reference implementations, each score with the signature of what computed it."""
