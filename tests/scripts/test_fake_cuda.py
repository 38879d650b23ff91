"""The package on fake CUDA tensors: nothing breaks, and launches and waits stay within their bounds.

The bounds are the table in launches.md, next to this file. To write it again:

    python -m scripts.bench.launches --bounds
"""

import sys
from pathlib import Path

import pytest

from scripts.bench import launches
from scripts.bench.fake_cuda import process
from scripts.bench.fake_cuda.process import Request, UnavailableError

BOUNDS = launches.BOUNDS.read_text()
VERSIONS = 1.02  # other versions of torch and transformers launch a few kernels more or less
LAYERS = launches.BOUNDS_LAYERS
BROKEN = Path(__file__).parents[1]  # `helpers` is imported from there


def simulate(requests):
    """The answers to requests, each a `Request`; the test is skipped where the guard cannot be built."""
    try:
        return list(process.run(requests))
    except UnavailableError as error:
        pytest.skip(str(error))


def bounds():
    """(family, method, scene) -> (launches, waits, waits that do not recur) of the table."""
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in BOUNDS.splitlines()[2:]]
    columns = [dict(zip(launches.COLUMNS, row, strict=True)) for row in rows]
    number = lambda cell: int(cell.replace(",", ""))  # noqa: E731
    return {
        (c["family"], c["method"], c["scene"]): tuple(number(c[name]) for name in ("all", "waits", "once"))
        for c in columns
    }


@pytest.mark.parametrize("family", process.FAMILIES)
def test_every_method_trains_predicts_and_decodes_within_its_bounds(family):
    requests = launches.requests([family], process.METHODS, launches.BOUNDS_SCENES, LAYERS)
    allowed, wrong, seen = bounds(), [], set()
    for answer in simulate(requests):
        key = (family, answer.request["method"], answer.scene)
        seen.add(key)
        if answer.error or answer.without_gradient:
            wrong.append(f"{key}: {answer.error or f'no gradient: {answer.without_gradient}'}")
            continue
        launched, *waited = launches.recurring(answer)
        most_launches, *most_waits = allowed[key]
        if launched > VERSIONS * most_launches:
            wrong.append(f"{key}: {launched} launches; allowed: {most_launches}")
        if any(found > most for found, most in zip(waited, most_waits, strict=True)):
            wrong.append(f"{key}: {waited} waits; allowed: {most_waits}; {answer.waits}")
    assert not wrong, "\n".join(wrong)
    assert seen == {key for key in allowed if key[0] == family}


# -- other ways to train ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def variants():
    """Name -> answers of one method: padded or not, in micro-batches, and with other numbers of layers."""
    requests = {
        "padded": Request("nlg", "inducer", ("training", "interval", "evaluation"), LAYERS),
        "unpadded": Request("nlg", "inducer", ("training", "evaluation"), LAYERS, padded=False),
        "in micro-batches": Request("nlg", "inducer", ("training",), LAYERS, overrides=("trainer.micro_batch_size=4",)),
        "nlu": Request("nlu", "inducer", ("interval",), LAYERS),
        "llama": Request("llama", "inducer", ("interval",), LAYERS),
        "3 layers": Request("nlg", "inducer", ("training",), 3),
        "5 layers": Request("nlg", "inducer", ("training",), 5),
    }
    answers = iter(simulate(list(requests.values())))
    found = {name: {scene: next(answers) for scene in request.scenes} for name, request in requests.items()}
    for scenes in found.values():
        assert [answer.error for answer in scenes.values()] == [None] * len(scenes)
    return found


def test_batches_without_padding_cost_less(variants):
    for scene in ("training", "evaluation"):
        padded, unpadded = (launches.recurring(variants[name][scene]) for name in ("padded", "unpadded"))
        assert unpadded[0] < padded[0]
        assert unpadded[1] <= padded[1]


def test_accumulating_gradients_repeats_the_passes_and_not_the_update(variants):
    whole, parts = (variants[name]["training"] for name in ("padded", "in micro-batches"))
    assert parts.launched("forward") == 2 * whole.launched("forward")
    assert parts.launched("update") < 1.5 * whole.launched("update")
    assert parts.waited() == 0, parts.waits
    assert parts.without_gradient == []


@pytest.mark.parametrize("name", ["nlu", "padded", "llama"])
def test_training_waits_only_to_log_a_line(variants, name):
    answer = variants[name]["interval"]  # two steps and one line
    assert answer.waited() == 1, answer.waits


def test_every_further_layer_costs_the_same_so_that_bounds_hold_for_deep_models(variants):
    two, three, five = (
        variants[name]["training"].launched("forward", "backward") for name in ("padded", "3 layers", "5 layers")
    )
    assert five - three == 2 * (three - two)


# -- the simulation notices -------------------------------------------------------------------------------------------


def test_faults_that_show_on_a_gpu_only_are_noticed(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(BROKEN))
    own = ("method.name=helpers.broken_on_cuda", "trainer.lr=1e-3")
    faults = ("device", "type", "wait", "unused")
    requests = [
        Request("nlu", "own", ("training",), LAYERS, overrides=(*own, f"+method.fault={fault}")) for fault in faults
    ]
    found = dict(zip(faults, simulate(requests), strict=True))
    assert "devices" in found["device"].error
    assert "CUDA takes tensors of one type" in found["type"].error
    assert sum(n for place, n in found["wait"].waits["forward"].items() if "broken_on_cuda" in place) == LAYERS
    assert len(found["unused"].without_gradient) == LAYERS


def test_without_a_compiler_the_reason_is_one_line(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match=r"^no C\+\+ compiler 'no-such-compiler'$"):
        process.build_guard()


def test_this_process_has_no_fake_device():
    torch = sys.modules["torch"]
    assert not torch.cuda.is_available()
    with pytest.raises((RuntimeError, AssertionError)):
        torch.ones(1, device="cuda")
