"""Tuning methods: one small module each, attached to a transformers model by hooks and attention parts.

Called as a function, `ib.methods()`, a pandas table of the methods by name: title, summary,
published options and sources. `help(ib.api.frames.methods)` describes it.

Contract: `attach(tuned, options)` adds parameters and hooks through the `TunedModel`; the model itself stays frozen.
`architectures.py`, `options.py`, `published.py` and `budget.py` do not import torch.
"""
# A new method in this package is a module here, a class in `options.py`, a YAML file in `conf/method/` and a line in
# `tests/helpers/method_options.py`; outside this package it is one module, and a YAML file for the command line.

from inducer_bench.callable_module import make_callable

make_callable(__name__, "inducer_bench.api.frames", "methods")
