"""Tuning methods: one small module each, attached to a transformers model by hooks and attention parts.

Contract: `attach(tuned, options)` adds parameters and hooks through the `TunedModel`; the PLM itself stays frozen.
A new method is a module here, a class in `options.py`, a YAML file in `conf/method/` and a line in the contract test;
from outside, one module and a YAML file. `architectures.py`, `options.py` and `budget.py` need no torch.
"""
