"""Evidence on real PLMs and data, `results/real`: the claims of the paper as tests with intervals, from records.

    inducer-bench tune experiment=real_nlu ...              # (a): methods, tuned with equal effort
    inducer-bench -m experiment=real_initialisation ...     # (b); real_ablation (c, d), real_budget (e), and
                                                            # real_habits (f)
    python -m scripts.evidence.real.start ...               # (b): the first step, before any training
    python -m scripts.evidence.real.measure RUNS            # (d): gates before and after training
    python -m scripts.evidence.real --collect RUNS          # keep the records, and make tables, figures and the page
    python -m scripts.evidence.real                         # make these again from the kept records

`runs.py` says which runs answer which question. `against.py` (a), `initialisation.py` (b), `changes.py` (c, d, f),
`gate.py` (d) and `budget.py` (e) find the numbers, `figures.py` draws them, and `claims.py` puts them into words.
"""
