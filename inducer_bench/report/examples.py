"""What paired tests resample: the examples that a score is made of, each with its statistics.

A score is a function of weights on examples: ones give the score itself, counts that of a bootstrap sample, and on the
pooled examples of two runs, zeros and ones give that of a run part of whose outputs are the other's. METEOR has no
statistics here: its program keeps them to itself.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inducer_bench.errors import UserError
from inducer_bench.metrics.coqa import Turn, coqa_scores
from inducer_bench.report import weighted_metrics
from inducer_bench.report.weighted_metrics import Array, Corpus

Row = Mapping[str, Any]
Rows = Sequence[Row]  # the lines of predictions.jsonl.gz of one run

_ASKED = ("split", "index", "id", "group", "label", "references")  # what a line tells of its example
_KEPT = 1 << 17  # texts whose statistics are kept: a run is compared with several others
_OF_LABELS: dict[str, Corpus] = {
    "accuracy": weighted_metrics.accuracy,
    "f1": weighted_metrics.f1,
    "matthews": weighted_metrics.matthews,
    "pearson": weighted_metrics.pearson,
    "spearman": weighted_metrics.spearman,
}
_OF_TEXTS: dict[str, Corpus] = {
    "bleu": partial(weighted_metrics.bleu, smooth=True),
    "bleu_multi": partial(weighted_metrics.bleu, smooth=False),
    "chrf": weighted_metrics.chrf,
    "ter": weighted_metrics.ter,
    "rouge1": weighted_metrics.mean,
    "rouge2": weighted_metrics.mean,
    "rougeL": weighted_metrics.mean,
}


@dataclass(frozen=True)
class Examples:
    """The examples that one score of one run is made of.

    Args:
        statistics: (N, K), what each example adds to the score.
        units: (N), the independent unit that each belongs to, counted from 0: the example itself, or its dialogue.
        corpus: from statistics and weights to scores.
    """

    statistics: Array
    units: NDArray[np.int64]
    corpus: Corpus

    def count(self) -> int:
        """How many units there are."""
        return int(self.units.max()) + 1

    def scores(self, weights: Array) -> Array:
        """(R, units) -> (R): the score in percent with each weighting of the units; NaN where it is undefined."""
        return self.corpus(self.statistics, weights[:, self.units])

    def pooled(self, other: "Examples") -> "Examples":
        """These examples and those of another run, whose units are counted on from these."""
        statistics = np.concatenate([self.statistics, other.statistics])
        return Examples(statistics, np.concatenate([self.units, other.units + self.count()]), self.corpus)


def read_predictions(folder: Path) -> list[dict[str, Any]]:
    """The predictions of the run in `folder`, of all splits.

    Raises:
        UserError: there are none, or they are damaged.
    """
    path = folder / "predictions.jsonl.gz"
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: not there, as it is for every finished run") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path}: damaged ({error})") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise UserError(f"{path}, line {number}: not JSON") from None
    if not rows:
        raise UserError(f"{path}: damaged (no line in it)")
    return rows


def same_examples(runs: Sequence[Rows]) -> bool:
    """Whether all runs predicted the same examples, in the same order."""
    first, *others = ([[row.get(key) for key in _ASKED] for row in rows] for rows in runs)
    return all(other == first for other in others)


def examples(name: str, rows: Rows) -> Examples | None:
    """What the score `name` of a record is made of: `accuracy`, `accuracy_mismatched`, `bleu_seen`, `f1_news`, ...

    Rows: of all splits that the run reported, or of one. None if the metric has no statistics here, or no example
    belongs to the score.
    """
    if not rows:
        return None
    split, score = _split_of(name, rows)
    rows = [row for row in rows if row["split"] == split]
    if "label" in rows[0]:
        return _labelled(score, rows)
    return _turns(score, rows) if score.partition("_")[0] in ("em", "f1") else _texts(score, rows)


def _split_of(name: str, rows: Rows) -> tuple[str, str]:
    """The split of a score, and its name there: `accuracy_mismatched` is dev_mismatched's accuracy.

    The first split's scores have plain names, and those of others end as the split's name does.
    """

    def ending(split: str) -> str:
        words = split.split("_")
        ends = (f"_{'_'.join(words[start:])}" for start in range(len(words)))
        return next(filter(name.endswith, ends), "")

    split = max(dict.fromkeys(row["split"] for row in rows), key=lambda split: len(ending(split)))
    return split, name.removesuffix(ending(split))


def _labelled(score: str, rows: Rows) -> Examples | None:
    if score not in _OF_LABELS:
        return None
    pairs = np.array([(row["label"], row["prediction"]) for row in rows], dtype=np.float64)
    return Examples(pairs, np.arange(len(rows)), _OF_LABELS[score])


def _turns(score: str, rows: Rows) -> Examples | None:
    """CoQA's scores are means over turns; but turns of a dialogue are not independent, so dialogues are the units."""
    scores = [_turn_scores(row["group"], tuple(row["references"]), row["prediction"]) for row in rows]
    found = [
        (row["id"].rpartition("/")[0], turn[score]) for row, turn in zip(rows, scores, strict=True) if score in turn
    ]
    if not found:
        return None
    dialogues, values = zip(*found, strict=True)
    return Examples(np.array(values)[:, None], np.unique(dialogues, return_inverse=True)[1], weighted_metrics.mean)


def _texts(score: str, rows: Rows) -> Examples | None:
    """`bleu` is of all rows, `bleu_seen` of the group `seen`."""
    metric, group = (score, None) if score in _OF_TEXTS else score.rpartition("_")[::2]
    rows = [row for row in rows if group in (None, row["group"])]
    if metric not in _OF_TEXTS or not rows:
        return None
    statistics = [_text_statistics(metric, row["prediction"], tuple(row["references"])) for row in rows]
    return Examples(np.array(statistics, dtype=np.float64), np.arange(len(rows)), _OF_TEXTS[metric])


@lru_cache(maxsize=_KEPT)
def _turn_scores(domain: str, references: tuple[str, ...], answer: str) -> dict[str, float]:
    """The scores that a turn belongs to, in [0, 1]: `f1`, `f1_in_domain`, `f1_news`, ..."""
    scores = coqa_scores([Turn(domain, references, answer)])
    return {name: score["value"] / 100 for name, score in scores.items() if score["value"] is not None}


@lru_cache(maxsize=_KEPT)
def _text_statistics(metric: str, text: str, references: tuple[str, ...]) -> tuple[float, ...]:
    """What one text adds to a score: sacrebleu's counts, or the score itself where the corpus score is the mean."""
    # Here, because it takes seconds and labels do without.
    from inducer_bench.metrics.generation import generation_scores, words_and_symbols

    if metric.startswith("rouge"):
        value = generation_scores([text], [references], [metric])[metric]["value"]
        assert value is not None
        return (value / 100,)
    if metric == "chrf":
        return _chrf_counts(text, references)
    if metric == "bleu_multi":
        text, references = words_and_symbols(text), tuple(map(words_and_symbols, references))
    found = _sacrebleu()[metric].corpus_score([text], [[reference] for reference in references])
    if metric == "ter":
        return (found.num_edits, found.ref_length)
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


@cache
def _sacrebleu() -> dict[str, Any]:
    """Set as in `metrics/generation.py`; only the lengths and counts of these metrics are used."""
    from sacrebleu.metrics import BLEU, TER

    return {
        "bleu": BLEU(force=True),
        "bleu_multi": BLEU(lowercase=True, force=True, tokenize="none"),
        "ter": TER(),
    }


def _chrf_counts(text: str, references: Sequence[str]) -> tuple[float, ...]:
    """What sacrebleu keeps to itself: 6 x (n-grams of the text, of the reference, matches), of the best reference.

    n-grams of an order that the reference does not have are not counted; of references as good the first one is taken.
    """
    written = _character_ngrams(text)
    of_references = []
    for wanted in map(_character_ngrams, references):
        counts: list[float] = []
        for ours, theirs in zip(written, wanted, strict=True):
            counts += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
        of_references.append(counts)
    scores = weighted_metrics.chrf(np.array(of_references, dtype=np.float64), np.eye(len(of_references)))
    return tuple(of_references[int(np.argmax(scores))])


def _character_ngrams(text: str) -> list[Counter[str]]:
    """Of the orders 1 to 6, without white space."""
    line = "".join(text.split())
    return [Counter(line[start : start + order] for start in range(len(line) - order + 1)) for order in range(1, 7)]
