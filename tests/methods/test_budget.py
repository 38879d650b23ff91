"""Budgets: the count from the options alone, and the ranks it leads to."""

import dataclasses
import itertools
import json
from typing import ClassVar

import pytest
from helpers.architectures import build
from helpers.method_options import OPTIONS, PAIRS

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


@pytest.mark.parametrize(("method", "architecture"), [pair for pair in PAIRS if pair[0] in WITH_RANKS])
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


def wrong(options, allowed, plm, wanted):
    """What a budget keeps small: the parameters that are unused, or belong to another rank than in proportion."""
    elsewhere = 0.0
    for rank, target in wanted.items():
        value = budget.value_of(options, rank)
        unit = raised(options, rank.path, value + 1).parameters(plm) - options.parameters(plm)
        elsewhere += unit * abs(value - target)
    return elsewhere + allowed - options.parameters(plm)


def in_proportion(options, allowed, plm):
    """The ranks that fill a budget exactly, times the given ones by one factor, if none of them meets its bounds."""
    values = {rank: budget.value_of(options, rank) for rank in options.ranks}
    count = options.parameters(plm)
    units = [raised(options, r.path, v + 1).parameters(plm) - count for r, v in values.items()]
    factor = 1 + (allowed - count) / sum(unit * value for unit, value in zip(units, values.values(), strict=True))
    return {rank: factor * value for rank, value in values.items()}


@pytest.mark.parametrize("plm", ["roberta-base", "gpt2-medium"])
@pytest.mark.parametrize("method", WITH_RANKS)
def test_no_other_ranks_nearby_use_more_of_the_budget_or_keep_the_proportions_better(method, plm):
    options = compose([f"plm={plm}", f"method={method}"]).method
    sized = sizes(compose([f"plm={plm}"]).plm.architecture)
    for share in (1.5, 2.3):
        allowed = int(share * options.parameters(sized))
        wanted = in_proportion(options, allowed, sized)
        solved = budget.solve(options, allowed, sized)
        least = wrong(solved, allowed, sized, wanted)
        for steps in itertools.product(range(-2, 3), repeat=len(options.ranks)):
            other = solved
            for rank, step in zip(options.ranks, steps, strict=True):
                other = raised(other, rank.path, max(rank.least, budget.value_of(solved, rank) + step))
            if other.parameters(sized) <= allowed:
                assert wrong(other, allowed, sized, wanted) >= least - 1e-6


@pytest.mark.parametrize("setting", [["plm=roberta-base"], ["plm=gpt2", "task=webnlg"]])
@pytest.mark.parametrize("method", WITH_RANKS)
def test_budget_of_the_published_size_gives_the_published_ranks(method, setting):
    config = compose([*setting, f"method={method}"])
    plm = sizes(config.plm.architecture)
    assert budget.solve(config.method, config.method.parameters(plm), plm) == config.method


@pytest.mark.parametrize("method", WITH_RANKS)
def test_no_rank_is_given_up_to_fill_the_budget(method):
    """A prefix of one pair beside an adapter of 47 fills a budget well, and is no MAM adapter."""
    options = compose([f"method={method}"]).method
    plm = sizes(MINILM)
    solved = budget.solve(options, 227_132, plm)
    for rank, target in in_proportion(options, 227_132, plm).items():
        assert 0.6 * target < budget.value_of(solved, rank) < 1.6 * target, rank.path


def test_rank_that_meets_its_bound_leaves_the_rest_to_the_others():
    @options
    class Two(MethodOptions):
        a: int = 1
        b: int = 1
        c: int = 2
        ranks: ClassVar[tuple[Rank, ...]] = (Rank(("a",), within="head_width"), Rank(("b",)), Rank(("c",)))

        def parameters(self, s):
            return 10 * (self.a + self.b + self.c)

    solved = budget.solve(Two(), 10 * 364, sizes(compose([]).plm.architecture))
    assert (solved.a, solved.b, solved.c) == (64, 100, 200)


# -- what a rank scales ------------------------------------------------------------------------------------------------

MINILM = {
    "model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 1536, "max_position_embeddings": 512,
}  # fmt: skip
SMOLLM = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
    "num_key_value_heads": 3, "intermediate_size": 1536, "max_position_embeddings": 2048, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A function that writes the config.json of a PLM into a folder, and gives the overrides that choose it."""

    def write(values):
        (tmp_path / "config.json").write_text(json.dumps(values))
        decoder = values["model_type"] == "llama"
        return [f"plm.path={tmp_path}", *(["plm=gpt2", "task=webnlg"] if decoder else ["task=sst2"])]

    return write


def test_alpha_of_lora_grows_with_the_rank_that_a_budget_decides(folder):
    found = compose([*folder(MINILM), "method=lora", "method.budget=227132"]).method  # 1 %
    assert (found.r, found.alpha) == (24, 48.0)  # published: 16 and 32
    found = compose([*folder(SMOLLM), "method=lora", "method.budget=1345150"]).method
    assert (found.r, found.alpha) == (22, 44.0)  # published: 53 and 106


@pytest.mark.parametrize("method", ["inducer_lora", "inducer_ffn"])
def test_alpha_grows_in_methods_that_contain_a_lora_and_is_told(method, folder, capsys):
    published = compose([f"method={method}"]).method.lora
    found = compose([*folder(MINILM), f"method={method}", "method.budget=227132"]).method.lora
    assert found.alpha / found.r == pytest.approx(published.alpha / published.r)
    assert found.alpha != published.alpha
    assert f"lora.r={found.r}, lora.alpha={found.alpha:g}" in capsys.readouterr().err


def test_alpha_that_the_user_gives_stays():
    assert compose(["method=lora", "method.budget=1200000", "method.alpha=16"]).method.alpha == 16.0
    found = compose(["method=inducer_lora", "method.budget=1200000", "method.lora.alpha=16"]).method.lora
    assert found.alpha == 16.0
    assert found.r != 4


@pytest.mark.parametrize(("method", "part"), [("lora", ""), ("inducer_lora", "lora.")])
def test_alpha_of_a_recipe_does_not_grow_with_a_rank_of_someone_else(method, part):
    """It belongs to the recipe's rank: with r = 4 instead of 16, alpha / r would be 8 instead of 2."""
    given = [f"method={method}", "method.budget=1200000", f"method.{part}r=3"]
    with pytest.raises(UserError, match=rf"^method\.{part}r: found 3 .* or give method\.{part}alpha as well"):
        compose(given)
    assert compose([*given, f"method.{part}alpha=16"])


# -- grouped queries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WITH_RANKS)
def test_methods_have_the_published_share_of_a_plm_with_grouped_queries(method, folder, capsys):
    config = compose([*folder(SMOLLM), f"method={method}"])
    share = 100 * config.method.parameters(sizes(SMOLLM)) / 134_515_008
    assert share == pytest.approx(1.61, rel=0.02)
    assert "a PLM with grouped queries; method.budget=null has the published ranks" in capsys.readouterr().err


def test_ranks_that_are_given_are_not_resized_by_a_default(folder, capsys):
    grouped = folder(SMOLLM)
    assert compose([*grouped, "method=lora", "method.r=8"]).method.r == 8
    assert compose([*grouped, "method=inducer_ffn", "method.adapter.r=9"]).method.r_v == 7
    assert compose([*grouped, "method=lora", "method.budget=null"]).method.r == 53
    assert not capsys.readouterr().err
    assert compose([*grouped, "method=lora", "method.budget=1%", "method.r=8", "method.alpha=8"]).method.r == 22


def test_ablation_that_turns_a_rank_off_still_fills_the_budget(folder):
    found = compose([*folder(SMOLLM), "method=inducer", "ablation=no_mlp_k"]).method
    assert (found.r_k, found.r_v) == (0, 12)


def test_default_budget_that_is_too_small_says_how_to_go_without(folder):
    narrow = SMOLLM | {
        "hidden_size": 36,
        "head_dim": 64,
        "num_hidden_layers": 1,
        "intermediate_size": 36,
        "vocab_size": 64,
    }
    with pytest.raises(UserError, match=r"allowed: at least .*; or method\.budget=null, the published ranks"):
        compose([*folder(narrow), "method=inducer"])


def test_published_ranks_stay_where_every_query_head_has_a_key_head(folder, capsys):
    config = compose(["plm=gpt2", "task=webnlg", "method=inducer"])
    assert config.method.parameters(sizes(config.plm.architecture)) == 2_003_472
    ungrouped = SMOLLM | {"num_key_value_heads": 9}
    assert compose([*folder(ungrouped), "method=lora"]).method.r == 53
    assert not capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("given", ["some", "-5", "0%", "1.5", "9" * 500, "9" * 500 + "%"])
def test_budget_that_is_neither_is_rejected(given):
    with pytest.raises(UserError, match=r"method\.budget: found .*; allowed: a number of parameters"):
        compose([f"method.budget='{given}'"])


@pytest.mark.parametrize("method", ["inducer_ffn", "mam", "lora"])
def test_a_budget_beyond_all_ranks_gives_the_largest_ones_at_once(method):
    chosen = compose([f"method={method}", "plm=roberta-base"])
    sized = sizes(chosen.plm.architecture)
    largest = budget.solve(chosen.method, 10**12, sized)
    assert budget.solve(chosen.method, largest.parameters(sized), sized) == largest
    assert budget.solve(chosen.method, 2 * largest.parameters(sized), sized) == largest
