"""Tasks: locating, reading and encoding data, predictions, and their scores."""
