"""Metrics of generated text against one or more references per entry, in percent.

`bleu`, `chrf`, `ter`: sacrebleu with its defaults. Of an entry's references, BLEU takes all n-grams and the closest
length; chrF the counts of the best one (of the first, where none has anything in common with the output); TER the
fewest edits and the mean length.
`bleu_multi`: what papers of the time report as BLEU on WebNLG, multi-bleu.perl on lower-cased text in which every
symbol is a token of its own. Corpus BLEU-4, no smoothing: 0 if no n-gram of some order matches. The reference length
of an entry is the closest one, of two as close the shorter. (The script errs from 9,999 tokens of difference on.)
`rouge1`, `rouge2`, `rougeL`: F1 against the best reference, averaged over entries; Porter stems; its tokenizer keeps
ASCII letters and digits only, so text in another script scores 0. `rougeL` takes a text as one sentence.
`meteor`: see metrics/meteor.py.

Time: TER searches up to 1,000 shifts per pair. Two texts of 25 words take 10 ms (WebNLG's test set: a minute), 10,000
words against 60 a few seconds, 1,500 against 200 up to a minute where both repeat few words.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from itertools import zip_longest

from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric

from inducer_bench.metrics.meteor import meteor
from inducer_bench.metrics.score import Score, Scores, not_computed

References = Sequence[Sequence[str]]  # at least one for each hypothesis
Parts = Sequence[Sequence[int]]  # the numbers of the entries of each part; a part has entries


def generation_scores(hypotheses: Sequence[str], references: References, names: Sequence[str]) -> Scores:
    """The metrics `names` (keys of `METRICS`) over one generated text and its references per entry.

    Raises KeyError for another name, ValueError for unequal numbers of hypotheses and entries of references or an
    entry without references. A metric that cannot be had says why; without entries that is all of them.
    """
    return scores_of_parts(hypotheses, references, names, [range(len(hypotheses))])[0]


def scores_of_parts(
    hypotheses: Sequence[str], references: References, names: Sequence[str], parts: Parts
) -> list[Scores]:
    """`generation_scores` of each part of the entries, equal to those of that part alone.

    TER's search, METEOR's alignment and ROUGE are done once for each entry, whatever parts it belongs to.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, but references for {len(references)}")
    if not all(references):
        raise ValueError("an entry without references")
    filled = [part for part in parts if part]
    found = {name: iter(METRICS[name](hypotheses, references, filled) if filled else ()) for name in names}
    return [
        {name: next(scores) if part else not_computed(name, "no entries") for name, scores in found.items()}
        for part in parts
    ]


def _bleu(hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    return _by_sacrebleu(BLEU(force=True), hypotheses, references, parts)  # force: do not warn of tokenised text


def _bleu_multi(hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    metric = BLEU(lowercase=True, force=True, tokenize="none", smooth_method="none")
    metric.tokenizer_signature = "words-and-symbols"
    tokenised = [[words_and_symbols(text) for text in texts] for texts in references]
    scores = _by_sacrebleu(metric, [words_and_symbols(text) for text in hypotheses], tokenised, parts)
    return [{**score, "signature": f"multi-{score['signature']}"} for score in scores]


def _chrf(hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    return _by_sacrebleu(CHRF(), hypotheses, references, parts)


def _by_sacrebleu(metric: Metric, hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    scores: list[Score] = []
    for part in parts:
        # The k-th references of all entries; None where an entry has fewer.
        streams = list(zip_longest(*(references[entry] for entry in part)))
        score = metric.corpus_score([hypotheses[entry] for entry in part], streams)
        scores.append({"value": float(score.score), "signature": f"{score.name}|{metric.get_signature()}"})
    return scores


def _ter(hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    """As `_by_sacrebleu` would have it; but what an entry adds, which takes long, is found once."""
    metric = TER()
    entries = [metric.sentence_score(text, texts) for text, texts in zip(hypotheses, references, strict=True)]
    scores: list[Score] = []
    for part in parts:
        edits = sum(entries[entry].num_edits for entry in part)
        length = sum(entries[entry].ref_length for entry in part)
        rate = edits / length if length else float(edits > 0)
        counts = {len(references[entry]) for entry in part}
        metric.num_refs = counts.pop() if len(counts) == 1 else -1  # of this part, for the signature; -1: they differ
        scores.append({"value": 100.0 * rate, "signature": f"TER|{metric.get_signature()}"})
    return scores


def words_and_symbols(text: str) -> str:
    """Lower-cased; runs of word characters and single other characters, separated by spaces."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def _rouge(kind: str, hypotheses: Sequence[str], references: References, parts: Parts) -> list[Score]:
    from rouge_score.rouge_scorer import RougeScorer  # late: the best part of a second before the first step

    scorer = RougeScorer([kind], use_stemmer=True)
    values = [
        scorer.score_multi(texts, hypothesis)[kind].fmeasure
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]
    signature = f"{kind}|percent|F1 of best reference, mean|tok:a-z0-9|stemmer:porter|rouge-score {_ROUGE_VERSION}"
    means = [100.0 * sum(values[entry] for entry in part) / len(part) for part in parts]
    return [{"value": mean, "signature": signature} for mean in means]


_ROUGE_VERSION = version("rouge-score")
METRICS: dict[str, Callable[[Sequence[str], References, Parts], list[Score]]] = {
    "bleu": _bleu,
    "bleu_multi": _bleu_multi,
    "chrf": _chrf,
    "ter": _ter,
    "meteor": meteor,
    "rouge1": partial(_rouge, "rouge1"),
    "rouge2": partial(_rouge, "rouge2"),
    "rougeL": partial(_rouge, "rougeL"),
}
