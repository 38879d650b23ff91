"""Runs from Python: `ib.run`, `ib.runs`, `ib.open_run`, `ib.compare`, `ib.methods`. As quick to import as a command."""
