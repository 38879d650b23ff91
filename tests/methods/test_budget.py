"""Budgets: the count from the options alone, and the ranks it leads to."""

import dataclasses
import itertools
from typing import ClassVar

import pytest
from helpers.architectures import ARCHITECTURES, build
from helpers.method_options import OPTIONS

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.methods.options import METHODS, MethodOptions, Rank
from inducer_bench.options import options, typed

WITH_RANKS = [name for name in OPTIONS if METHODS[name].ranks]


def options_of(method, **changes):
    return typed(METHODS[method], {**OPTIONS[method], **changes})


def raised(options, path, value):
    """The options with another value of one rank."""
    if len(path) == 1:
        return dataclasses.replace(options, **{path[0]: value})
    inner = dataclasses.replace(getattr(options, path[0]), **{path[1]: value})
    return dataclasses.replace(options, **{path[0]: inner})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", WITH_RANKS)
def test_declared_parameters_are_those_counted_on_the_model(method, architecture):
    model = build(architecture)
    plm = sizes(model.config.to_dict() | {"hidden_size": model.config.hidden_size})
    counted = ib.attach(model, method, **OPTIONS[method]).parameter_counts()["method"]
    assert options_of(method).parameters(plm) == counted


@pytest.mark.parametrize("plm", ["roberta-base", "gpt2-medium"])
@pytest.mark.parametrize("share", [0.004, 0.0049, 0.0161])
@pytest.mark.parametrize("method", WITH_RANKS)
def test_ranks_use_the_budget_and_never_exceed_it(method, share, plm):
    config = compose([f"plm={plm}", f"method={method}"])
    sized = sizes(config.plm.architecture)
    allowed = int(share * (124_055_040 if plm == "roberta-base" else 354_823_168))
    solved = budget.solve(config.method, allowed, sized)
    assert solved.parameters(sized) <= allowed
    for rank in solved.ranks:  # and not one rank more would fit
        value = budget.value_of(solved, rank) + 1
        if rank.path == ("r_k",) and value > sized.head_width:
            continue
        assert raised(solved, rank.path, value).parameters(sized) > allowed, rank.path


def test_single_rank_is_the_largest_that_fits():
    plm = sizes(compose([]).plm.architecture)
    solved = budget.solve(compose(["method=lora"]).method, 600_000, plm)
    assert solved.r == 16  # 36,864 parameters for each rank of Q and V
    assert solved.parameters(plm) == 589_824


def test_no_neighbouring_choice_comes_closer():
    plm = sizes(compose([]).plm.architecture)
    solved = budget.solve(compose(["method=inducer"]).method, 609_696, plm)
    found = solved.parameters(plm)
    for k, v in itertools.product(range(-1, 2), repeat=2):
        other = dataclasses.replace(solved, r_k=solved.r_k + k, r_v=solved.r_v + v).parameters(plm)
        assert other <= found or other > 609_696


def reachable(options, ranks, allowed, plm):
    """The greatest count within the budget, by trying all ranks: one at a time, until it no longer fits."""
    first, *others = ranks
    limit = first.most(plm) or allowed
    best = 0
    for value in range(first.least, limit + 1):
        tried = raised(options, first.path, value)
        smallest = tried
        for rank in others:
            smallest = raised(smallest, rank.path, rank.least)
        if smallest.parameters(plm) > allowed:
            break
        best = max(best, reachable(tried, others, allowed, plm) if others else tried.parameters(plm))
    return best


@pytest.mark.parametrize("plm", ["roberta-base", "gpt2-medium"])
@pytest.mark.parametrize("method", WITH_RANKS)
def test_enumeration_of_all_ranks_finds_none_closer(method, plm):
    config = compose([f"plm={plm}", f"method={method}"])
    sized = sizes(config.plm.architecture)
    several = len(config.method.ranks) > 2
    for share in (0.0025, 0.0049) if several else (0.0025, 0.0049, 0.01, 0.02):
        allowed = int(share * (124_055_040 if plm == "roberta-base" else 354_823_168))
        best = reachable(config.method, config.method.ranks, allowed, sized)
        if best:
            assert budget.solve(config.method, allowed, sized).parameters(sized) == best


def test_of_equal_counts_the_one_with_the_given_proportions_is_taken():
    @options
    class Two(MethodOptions):
        a: int = 2
        b: int = 1
        ranks: ClassVar[tuple[Rank, ...]] = (Rank(("a",)), Rank(("b",)))

        def parameters(self, s):
            return 10 * (self.a + self.b)

    solved = budget.solve(Two(), 305, sizes(compose([]).plm.architecture))
    assert (solved.a, solved.b) == (20, 10)


def test_ranks_of_a_method_from_outside_that_do_not_add_up_are_enumerated():
    @options
    class Product(MethodOptions):
        a: int = 1
        b: int = 1
        ranks: ClassVar[tuple[Rank, ...]] = (Rank(("a",)), Rank(("b",)))

        def parameters(self, s):
            return 7 * self.a * self.b + self.a**2

    solved = budget.solve(Product(), 500, sizes(compose([]).plm.architecture))
    best = max(7 * a * b + a * a for a in range(1, 23) for b in range(1, 80) if 7 * a * b + a * a <= 500)
    assert solved.parameters(None) == best


@pytest.mark.parametrize("method", ["inducer", "inducer_lora", "inducer_ffn"])
@pytest.mark.parametrize("off", ["method.r_k=0", "method.gate=false"])
def test_rank_that_is_off_stays_as_it_is(method, off):
    given = compose([f"method={method}", off]).method
    solved = budget.solve(given, 600_000, sizes(compose([]).plm.architecture))
    assert solved.r_k == given.r_k
    assert solved.r_v > 1


def test_rank_of_mlp_k_stays_within_the_head():
    plm = sizes(compose([]).plm.architecture)
    assert budget.solve(compose(["method=inducer"]).method, 50_000_000, plm).r_k <= 64


def test_budget_below_the_smallest_ranks_says_what_is_needed():
    plm = sizes(compose([]).plm.architecture)
    with pytest.raises(UserError, match=r"method\.budget: found 10; allowed: at least 36,864"):
        budget.solve(compose(["method=lora"]).method, 10, plm)


def test_method_that_declares_ranks_but_no_count_is_rejected_in_one_line():
    @options
    class Uncounted(MethodOptions):
        r: int = 1
        ranks: ClassVar[tuple[Rank, ...]] = (Rank(("r",)),)

    with pytest.raises(UserError, match="does not declare its number of parameters"):
        budget.solve(Uncounted(), 100, sizes(compose([]).plm.architecture))


def test_method_without_ranks_is_rejected():
    with pytest.raises(UserError, match="'bitfit' has no rank to choose"):
        budget.solve(compose(["method=bitfit"]).method, 100, sizes(compose([]).plm.architecture))


@pytest.mark.parametrize("given", ["609696", "0.4915%"])
def test_configuration_takes_a_number_or_a_percentage_and_says_what_it_chose(given, capsys):
    config = compose(["plm.weights=random", f"method.budget='{given}'"])
    assert (config.method.r_k, config.method.r_v) != (0, 0)
    line = capsys.readouterr().err
    assert line.startswith(f"method.budget: {given}")
    assert f"r_k={config.method.r_k}, r_v={config.method.r_v}" in line


def test_equal_ranks_are_the_same_run_whether_solved_for_or_given():
    solved = compose(["method=lora", "method.budget=600000"])
    assert solved.method == compose(["method=lora", "method.r=16"]).method


@pytest.mark.parametrize("given", ["some", "-5", "0%", "1.5"])
def test_budget_that_is_neither_is_rejected(given):
    with pytest.raises(UserError, match=r"method\.budget: found .*; allowed: a number of parameters"):
        compose([f"method.budget='{given}'"])
