"""Tuning methods: one small module each, attached to a transformers model by hooks and attention parts.

Contract: `attach(tuned, options)` adds parameters and hooks through the `TunedModel`; the PLM itself stays frozen.
A new method in this package is a module here, a class in `options.py`, a YAML file in `conf/method/` and a line in
`tests/helpers/method_options.py`; outside this package it is one module, and a YAML file for the command line.
`architectures.py`, `options.py` and `budget.py` do not import torch.
"""
