"""How much of a tuned score is owed to which trial happened to win?

Another search of the same method would have found other settings: held-out examples are few, and runs vary with their
seed. Final runs of one winner do not show that variation, however many seeds they have. So a comparison of tuned
methods adds its variance: the winner is chosen again and again, on resampled held-out examples and with the deviation
of runs added to each trial, and the variance of the winners' own held-out scores is taken. These scores vary by chance,
too, so that the variance is rather too large: in simulations of whole studies (`results/statistics`) equal methods are
told apart more rarely than promised. Without it, they are told apart far too often.
"""

from collections.abc import Sequence

import numpy as np

from inducer_bench.report.examples import Examples
from inducer_bench.report.statistics import bootstrap, scores_of

_RESAMPLES = 1_000


def variance(trials: Sequence[Examples], of_runs: float, better: int, resamples: int = _RESAMPLES) -> float:
    """The variance of the winner's score over searches like this one.

    Args:
        trials: those that decided, each on the same held-out examples.
        of_runs: variance of the scores of single runs that is not due to the examples; at least 0 is taken.
        better: 1 if higher is better, -1 if lower is.
        resamples: number of searches that are drawn.

    Returns:
        In the square of the score's unit; 0 for a single trial.
    """
    scores = scores_of(trials)
    drawn = better * bootstrap(trials, resamples)  # (resamples, trials)
    deviation = np.random.default_rng(0).normal(0.0, np.sqrt(max(0.0, of_runs)), drawn.shape)
    winners = np.argmax(np.nan_to_num(drawn + deviation, nan=-np.inf), axis=1)
    return float(np.nanvar(scores[winners]))
