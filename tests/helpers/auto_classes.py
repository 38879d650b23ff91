"""Transformers' classes of PLMs with a head, by name."""

CLASSIFIER = "AutoModelForSequenceClassification"
GENERATOR = "AutoModelForCausalLM"
