"""Tasks: where data come from, how rows become model inputs, and how outputs become predictions and scores."""
