"""The exact numbers of parameters, on PLMs built without weights."""

import pytest
from helpers.auto_classes import CLASSIFIER, GENERATOR

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.methods.attach import attach
from inducer_bench.plm.load import empty_model
from scripts.evidence.parameter_table import SETTINGS, counts

PLM_SIZES = {"roberta-base": 124_055_040, "roberta-large": 354_310_144, "gpt2": 124_439_808, "gpt2-medium": 354_823_168}


@pytest.mark.parametrize(("plm", "method", "options", "published"), SETTINGS)
def test_method_has_exactly_the_published_number_of_parameters(plm, method, options, published):
    count = counts(plm, method, options)
    assert count["method"] == published
    assert count["percent"] == pytest.approx(100 * published / count["plm"])


@pytest.mark.parametrize(("plm", "size"), PLM_SIZES.items())
def test_plm_is_counted_without_head_and_pooler(plm, size):
    config = compose([f"plm={plm}", "plm.weights=random"])
    model = empty_model(config.plm, CLASSIFIER, 2)
    counts = attach(model, "head_only").parameter_counts()
    assert counts["plm"] == size
    assert counts["plm"] + counts["head"] == sum(p.numel() for p in model.parameters())


def test_tied_output_embedding_is_neither_head_nor_counted_twice():
    config = compose(["plm=gpt2", "plm.weights=random"])
    counts = attach(empty_model(config.plm, GENERATOR), "inducer", r_k=10, r_v=15).parameter_counts()
    assert (counts["head"], counts["plm"]) == (0, 124_439_808)


def test_command_prints_the_same_numbers(capsys):
    assert main.main(["params", "plm=roberta-base", "plm.weights=random", "method=inducer", "--json"]) == 0
    assert '"method": 609696' in capsys.readouterr().out
