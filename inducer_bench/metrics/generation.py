"""Metrics of generated text against one or more references per entry, in percent; and perplexity.

`bleu` (Papineni et al. 2002, https://aclanthology.org/P02-1040), `chrf` (Popović 2015,
https://aclanthology.org/W15-3049), `ter` (Snover et al. 2006, https://aclanthology.org/2006.amta-papers.25): sacrebleu
(Post 2018, https://arxiv.org/abs/1804.08771) with its defaults. With several references, BLEU takes the n-grams of all
and the closest length; chrF the counts of the best one (of the first, if none has anything in common with the output);
TER the fewest edits and the mean length.
`bleu_multi`: what papers of the time report as BLEU on WebNLG: multi-bleu.perl on lower-cased text in which every
symbol is a token of its own. Corpus BLEU-4, no smoothing: 0 if no n-gram of some order matches. The reference length
of an entry is the closest one, and the shorter of two that are equally close. (The script itself errs if lengths differ
by 9,999 tokens or more.)
`rouge1`, `rouge2`, `rougeL` (Lin 2004, https://aclanthology.org/W04-1013): F1 against the best reference, averaged over
entries; Porter stems. The tokenizer of rouge-score keeps ASCII letters and digits only, so text in another script
scores 0. `rougeL` takes a text as one sentence.
`meteor`: see metrics/meteor.py.

Time: TER searches up to 1,000 shifts per pair. Two texts of 25 words take 10 ms (WebNLG's test set: a minute), 10,000
words against 60 a few seconds, 1,500 against 200 up to a minute if both repeat few words.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from inducer_bench.metrics.meteor import meteor
from inducer_bench.metrics.metric import Metric, Parts, Row, each_part, mean, ratio
from inducer_bench.metrics.score import Score

if TYPE_CHECKING:
    from inducer_bench.metrics.metric import Array

References = Sequence[Sequence[str]]  # at least one for each hypothesis

_LARGEST_EXPONENT = 700  # e^709 is the largest power that a float holds


def _texts(
    score: Callable[[Sequence[str], References, Parts], list[Score]],
) -> Callable[[Sequence[Row], Parts], list[Score]]:
    """`Metric.score` for a function of hypotheses, references and parts."""

    def scores(rows: Sequence[Row], parts: Parts) -> list[Score]:
        references = [row["references"] for row in rows]
        if not all(references):
            raise ValueError("an entry without references")
        return score([row["prediction"] for row in rows], references, parts)

    return scores


# -- scores ------------------------------------------------------------------------------------------------------------


def _sacrebleu(name: str) -> Any:
    """sacrebleu's implementation of a metric; `force`: do not warn that the text is tokenised."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if name == "bleu_multi":
        return BLEU(lowercase=True, force=True, tokenize="none", smooth_method="none")
    if name == "bleu":
        return BLEU(force=True)
    return CHRF() if name == "chrf" else TER()


def _corpus_scores(name: str, hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    """BLEU or chrF of each part."""
    metric = _sacrebleu(name)
    prefix = ""
    if name == "bleu_multi":
        prefix, metric.tokenizer_signature = "multi-", "words-and-symbols"
        hypotheses = [words_and_symbols(text) for text in hypotheses]
        references = [[words_and_symbols(text) for text in texts] for texts in references]
    scores: list[Score] = []
    for part in parts:
        # The k-th references of all entries; None where an entry has fewer.
        streams = list(zip_longest(*(references[entry] for entry in part)))
        score = metric.corpus_score([hypotheses[entry] for entry in part], streams)
        scores.append(Score(value=float(score.score), signature=f"{prefix}{score.name}|{metric.get_signature()}"))
    return scores


def _ter(hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    """Equal to sacrebleu's corpus score of each part, but the edits of an entry, which take long, are searched once."""
    metric = _sacrebleu("ter")
    entries = [metric.sentence_score(text, texts) for text, texts in zip(hypotheses, references, strict=True)]
    scores: list[Score] = []
    for part in parts:
        edits = sum(entries[entry].num_edits for entry in part)
        length = sum(entries[entry].ref_length for entry in part)
        rate = edits / length if length else float(edits > 0)
        counts = {len(references[entry]) for entry in part}
        metric.num_refs = counts.pop() if len(counts) == 1 else -1  # of this part, for the signature; -1: they differ
        scores.append(Score(value=100.0 * rate, signature=f"TER|{metric.get_signature()}"))
    return scores


def words_and_symbols(text: str) -> str:
    """Lower-cased; runs of word characters and single other characters, separated by spaces."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def _rouge(kind: str, hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    values = _rouge_values(kind, hypotheses, references)
    package = f"rouge-score {version('rouge-score')}"
    signature = f"{kind}|percent|F1 of best reference, mean|tok:a-z0-9|stemmer:porter|{package}"
    means = [100.0 * sum(values[entry] for entry in part) / len(part) for part in parts]
    return [Score(value=value, signature=signature) for value in means]


def _rouge_values(kind: str, hypotheses: Sequence[str], references: References) -> list[float]:
    """F1 of each entry, in [0, 1]."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], use_stemmer=True)
    return [
        scorer.score_multi(texts, hypothesis)[kind].fmeasure
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]


def _perplexity(rows: Sequence[Row]) -> Score:
    """e to the mean loss per token."""
    loss = sum(row["loss"] for row in rows) / sum(row["count"] for row in rows)
    value = math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf
    return Score(value=value, signature="perplexity|per token of the target and its end")


# -- statistics of one entry -------------------------------------------------------------------------------------------


def _statistics(name: str) -> Callable[[Row], Sequence[float]]:
    return lambda row: _entry_statistics(name, row["prediction"], tuple(row["references"]))


@lru_cache(maxsize=1 << 17)  # a run is compared with several other runs
def _entry_statistics(name: str, text: str, references: tuple[str, ...]) -> tuple[float, ...]:
    """sacrebleu's counts; or the score itself, in [0, 1], where the corpus score is the mean."""
    if name.startswith("rouge"):
        return tuple(_rouge_values(name, [text], [references]))
    if name == "chrf":
        return _chrf_counts(text, references)
    if name == "bleu_multi":
        text, references = words_and_symbols(text), tuple(map(words_and_symbols, references))
    counts = _kept_sacrebleu(name).corpus_score([text], [[reference] for reference in references])
    if name == "ter":
        return (counts.num_edits, counts.ref_length)
    return (counts.sys_len, counts.ref_len, *counts.counts, *counts.totals)


_kept_sacrebleu = lru_cache(_sacrebleu)


def _chrf_counts(text: str, references: Sequence[str]) -> tuple[float, ...]:
    """Counts that sacrebleu does not return: 6 x (n-grams of the text, of the best reference, matches).

    n-grams of an order that the reference does not have are not counted. Of equally good references, the first one is
    the best.
    """
    import numpy as np

    written = _character_ngrams(text)
    of_references = []
    for wanted in map(_character_ngrams, references):
        counts: list[float] = []
        for ours, theirs in zip(written, wanted, strict=True):
            counts += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
        of_references.append(counts)
    scores = weighted_chrf(np.array(of_references, dtype=np.float64), np.eye(len(of_references)))
    return tuple(of_references[int(np.argmax(scores))])


def _character_ngrams(text: str) -> list[Counter[str]]:
    """Of the orders 1 to 6, without white space."""
    line = "".join(text.split())
    return [Counter(line[start : start + order] for start in range(len(line) - order + 1)) for order in range(1, 7)]


# -- of weighted entries -----------------------------------------------------------------------------------------------


def weighted_bleu(counts: "Array", weights: "Array", smooth: bool) -> "Array":
    """BLEU-4 of (length, reference length, 4 x matches, 4 x n-grams); smooth: NIST's halving where nothing matches."""
    import numpy as np

    length, reference, *ngrams = (weights @ counts).T
    matches, totals = np.array(ngrams[:4]), np.array(ngrams[4:])  # (4, R)
    precision = ratio(matches, totals, 0.0)
    if smooth:
        halvings = np.cumsum(matches == 0, axis=0)
        precision = np.where(matches == 0, ratio(0.5**halvings, totals, 0.0), precision)
    with np.errstate(divide="ignore"):  # no n-grams of some order: log 0, and BLEU 0
        geometric = np.exp(np.log(precision).mean(axis=0))
    brevity = np.exp(np.minimum(0.0, 1 - ratio(reference, length, np.inf)))
    scores: Array = np.where(matches.any(axis=0), 100 * brevity * geometric, 0.0)
    return scores


def weighted_chrf(counts: "Array", weights: "Array") -> "Array":
    """chrF2 of 6 x (character n-grams of the text, of the reference, matches)."""
    import numpy as np

    text, reference, matches = np.moveaxis((weights @ counts).reshape(len(weights), 6, 3), 2, 0)  # (R, 6)
    known = (text > 0) & (reference > 0)
    orders = known.sum(1)
    precision = ratio((ratio(matches, text, 0.0) * known).sum(1), orders, 0.0)
    recall = ratio((ratio(matches, reference, 0.0) * known).sum(1), orders, 0.0)
    return 100 * ratio(5 * precision * recall, 4 * precision + recall, 0.0)


def weighted_ter(counts: "Array", weights: "Array") -> "Array":
    """TER of (edits, reference length)."""
    import numpy as np

    edits, reference = (weights @ counts).T
    return 100 * ratio(edits, reference, 0.0) + np.where((reference == 0) & (edits > 0), 100.0, 0.0)


# -- the rows ----------------------------------------------------------------------------------------------------------


def _rouge_metric(name: str, label: str) -> Metric:
    return Metric(
        name=name,
        label=label,
        of="texts",
        score=_texts(partial(_rouge, name)),
        statistics=_statistics(name),
        corpus=mean,
    )


PERPLEXITY = Metric(name="perplexity", label="perplexity", of="losses", better=-1, score=each_part(_perplexity))

METRICS = (
    Metric(
        name="bleu",
        label="BLEU",
        of="texts",
        score=_texts(partial(_corpus_scores, "bleu")),
        statistics=_statistics("bleu"),
        corpus=partial(weighted_bleu, smooth=True),
    ),
    Metric(
        name="bleu_multi",
        label="BLEU (multi-bleu)",
        of="texts",
        score=_texts(partial(_corpus_scores, "bleu_multi")),
        statistics=_statistics("bleu_multi"),
        corpus=partial(weighted_bleu, smooth=False),
    ),
    Metric(
        name="chrf",
        label="chrF",
        of="texts",
        score=_texts(partial(_corpus_scores, "chrf")),
        statistics=_statistics("chrf"),
        corpus=weighted_chrf,
    ),
    Metric(
        name="ter",
        label="TER",
        of="texts",
        better=-1,
        score=_texts(_ter),
        statistics=_statistics("ter"),
        corpus=weighted_ter,
    ),
    # Its program does not give the statistics of an entry in a form that can be weighted.
    Metric(name="meteor", label="METEOR", of="texts", score=_texts(meteor)),
    _rouge_metric("rouge1", "ROUGE-1"),
    _rouge_metric("rouge2", "ROUGE-2"),
    _rouge_metric("rougeL", "ROUGE-L"),
    PERPLEXITY,
)
