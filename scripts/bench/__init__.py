"""Benchmarks: `harness` measures and writes results, `setup` builds what is measured, `summary` reports the results."""
