"""One run: its identity, lock, failures, experiment and record; and a finished run opened again."""
