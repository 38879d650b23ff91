"""The package on fake CUDA tensors: nothing breaks, and launches and waits stay within their bounds.

The bounds are the table in launches.md, next to this file. To write it again:

    python -m scripts.bench.launches --bounds
"""

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch
from helpers import documents

from scripts.bench import launches
from scripts.bench.fake_cuda import process
from scripts.bench.fake_cuda.process import Request, UnavailableError

BOUNDS = launches.BOUNDS.read_text()
VERSIONS = 1.02  # other versions of torch and transformers launch a few kernels more or less
LAYERS = launches.BOUNDS_LAYERS
HELPERS = Path(__file__).parents[1]  # where `helpers.broken_on_cuda` is


def bare(request):
    """What is built for a request, whatever its scenes."""
    return replace(request, scenes=())


def simulate(requests):
    """(bare request, scene) -> answer; the test is skipped where the guard cannot be built.

    One process builds once what several requests ask for.
    """
    scenes = {}
    for request in requests:
        scenes.setdefault(bare(request), {}).update(dict.fromkeys(request.scenes))
    try:
        answers = list(process.run([replace(request, scenes=tuple(asked)) for request, asked in scenes.items()]))
    except UnavailableError as error:
        pytest.skip(str(error))
    found = {}
    together = groupby(answers, lambda answer: answer.request)
    for (request, asked), (_, told) in zip(scenes.items(), together, strict=True):
        by_scene = {answer.scene: answer for answer in told}
        found |= {(request, scene): by_scene.get(scene, by_scene.get("build")) for scene in asked}
    return found


def bounds():
    """(family, method, scene) -> (launches, waits, waits that do not recur) of the table."""
    rows = documents.table(BOUNDS)[1:]
    columns = [dict(zip(launches.COLUMNS, row, strict=True)) for row in rows]
    number = lambda cell: int(cell.replace(",", ""))  # noqa: E731
    return {
        (c["family"], c["method"], c["scene"]): tuple(number(c[name]) for name in ("all", "waits", "once"))
        for c in columns
    }


OWN = ("method.name=helpers.broken_on_cuda", "trainer.lr=1e-3")
VARIANTS = {  # batches with and without padding, micro-batches, more layers, and methods with a fault
    "padded": Request("nlg", "inducer", ("training", "interval", "evaluation"), LAYERS),
    "unpadded": Request("nlg", "inducer", ("training", "evaluation"), LAYERS, padded=False),
    "in micro-batches": Request("nlg", "inducer", ("training",), LAYERS, overrides=("trainer.micro_batch_size=4",)),
    "nlu": Request("nlu", "inducer", ("interval",), LAYERS),
    "llama": Request("llama", "inducer", ("interval",), LAYERS),
    "5 layers": Request("nlg", "inducer", ("training",), 5),
    **{
        ("side by side", method): Request("nlu", method, ("stacked",), LAYERS)
        for method in ("bitfit", "lora", "prefix", "adapter", "inducer")
    },
    **{
        (family, method, layers): Request(family, method, ("training",), layers)
        for family in ("nlu", "nlg")
        for method in ("lora", "inducer")
        for layers in (2, 3)
    },
    **{
        fault: Request("nlu", "own", ("training",), LAYERS, overrides=(*OWN, f"+method.fault={fault}"))
        for fault in ("device", "type", "wait", "unused")
    },
}


def all_methods(family):
    return launches.requests([family], process.METHODS, launches.BOUNDS_SCENES, LAYERS)


@pytest.fixture(scope="module")
def quick():
    """The answers of one process to all but the slow tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(HELPERS))
        return simulate([*all_methods("nlu"), *VARIANTS.values()])


@pytest.fixture(scope="module")
def variants(quick):
    """Name of a variant -> scene -> answer."""
    return {name: {scene: quick[bare(asked), scene] for scene in asked.scenes} for name, asked in VARIANTS.items()}


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[] if name == "nlu" else pytest.mark.slow) for name in process.FAMILIES]
)
def test_every_method_trains_predicts_and_decodes_within_its_bounds(family, request):
    requests = all_methods(family)
    found = request.getfixturevalue("quick") if family == "nlu" else simulate(requests)
    allowed, wrong, seen = bounds(), [], set()
    for asked, scene in [(one, scene) for one in requests for scene in one.scenes]:
        answer, key = found[bare(asked), scene], (family, asked.method, scene)
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


@pytest.mark.parametrize("scene", ["training", "evaluation"])
def test_batches_without_padding_cost_no_more(variants, scene):
    padded, unpadded = (launches.recurring(variants[name][scene]) for name in ("padded", "unpadded"))
    assert unpadded[0] <= padded[0]
    assert unpadded[1] == padded[1] == 0


def test_accumulating_gradients_repeats_the_passes_and_not_the_update(variants):
    whole, parts = (variants[name]["training"] for name in ("padded", "in micro-batches"))
    assert parts.launched("forward") == 2 * whole.launched("forward")
    assert parts.launched("update") < 1.5 * whole.launched("update")
    assert parts.waited() == 0, parts.waits
    assert parts.without_gradient == []


@pytest.mark.parametrize("method", ["bitfit", "lora", "prefix", "adapter", "inducer"])
def test_seeds_side_by_side_train_without_waiting(variants, method):
    """On a GPU autocast reaches attention inside `torch.vmap` too late to make its inputs one type."""
    answer = variants["side by side", method]["stacked"]
    assert not answer.error
    assert (answer.without_gradient, answer.waited()) == ([], 0), answer.waits


@pytest.mark.parametrize("name", ["nlu", "padded", "llama"])
def test_training_waits_only_to_log_a_line(variants, name):
    answer = variants[name]["interval"]  # two steps and one line
    assert answer.waited() == 1, answer.waits


def test_every_further_layer_costs_the_same_so_that_bounds_hold_for_deep_models(variants):
    two, three, five = (
        variants[name]["training"].launched("forward", "backward")
        for name in (("nlg", "inducer", 2), ("nlg", "inducer", 3), "5 layers")
    )
    assert five - three == 2 * (three - two)


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_inducers_launch_at_most_a_quarter_more_than_lora_in_12_layers(variants, family):
    lora, inducer = (
        [variants[family, method, layers]["training"].launched() for layers in (2, 3)] for method in ("lora", "inducer")
    )
    in_12 = [two + 10 * (three - two) for two, three in (lora, inducer)]
    assert in_12[1] <= 1.25 * in_12[0]


# -- the simulation notices -------------------------------------------------------------------------------------------


def test_faults_that_show_on_a_gpu_only_are_noticed(variants):
    device, kind, wait, unused = (variants[fault]["training"] for fault in ("device", "type", "wait", "unused"))
    assert "devices" in device.error
    assert "CUDA takes tensors of one type" in kind.error
    assert sum(wait.waits["forward"].values()) == LAYERS
    assert len(unused.without_gradient) == LAYERS


def test_without_a_compiler_the_reason_is_one_line(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match=r"^no C\+\+ compiler 'no-such-compiler'$"):
        process.build_guard()


def test_this_process_has_no_fake_device():
    assert not torch.cuda.is_available()
    with pytest.raises((RuntimeError, AssertionError)):
        torch.ones(1, device="cuda")
