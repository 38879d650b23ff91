"""Chaos: kills, signals, faults in files and odd inputs, generated and judged by rules. `python -m chaos` runs all."""
