"""Metrics: one row each, with its implementation and its resampling."""
