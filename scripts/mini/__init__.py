"""Pre-training of the PLMs of the mini suite."""
