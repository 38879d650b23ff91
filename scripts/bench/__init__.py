"""Benchmarks: `harness` measures and writes, `setup` builds what is measured, `summary` and `bounds` report."""
