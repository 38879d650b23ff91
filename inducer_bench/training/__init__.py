"""Training: the loop and its checkpoints, evaluation, decoding, and the tracking of a run."""
