"""Predictions of simulated methods: examples of different difficulty, and runs of different luck."""

import numpy as np


def answers(right, split="dev"):
    """Predictions that are right (1) or not (0)."""
    return [{"split": split, "index": i, "label": 1, "prediction": int(ok)} for i, ok in enumerate(right)]


def models(random, runs, count, better=0.0, seed_spread=0.0):
    """Which examples each of several runs has right, for each method; the later methods are better."""
    shifts = better if np.ndim(better) else (0.0, better)

    def run(difficulty, shift):
        logits = difficulty + shift + random.normal(0, seed_spread) + random.normal(0, 0.7, count)
        return random.random(count) < 1 / (1 + np.exp(-logits))

    difficulty = random.normal(1.2, 1.5, count)
    return [[run(difficulty, shift) for _ in range(number)] for number, shift in zip(runs, shifts, strict=True)]
