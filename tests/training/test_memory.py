"""Memory of a run: counted to the byte, equal each time, and nothing of the run changed by it."""

import pytest
import torch
from helpers.runs import built
from torch import nn
from torch.utils.checkpoint import checkpoint

from inducer_bench.config.compose import compose
from inducer_bench.runs import experiment
from inducer_bench.runs.experiment import memory_of_step
from inducer_bench.runs.run import run
from inducer_bench.training.generators import Generators
from inducer_bench.training.loop import make_optimizer
from inducer_bench.training.memory import tensors_at_peak
from scripts.bench import harness

FLOAT = 4


def test_peak_is_that_of_the_tensors_held_at_once():
    def work():
        one = torch.zeros(100)
        two = torch.zeros(50)  # 150 at once
        del one
        return torch.zeros(60), two

    assert tensors_at_peak(work) == 150 * FLOAT


def test_views_and_operations_in_place_need_nothing():
    held = torch.zeros(10, 10)
    assert tensors_at_peak(lambda: held.view(-1).add_(1.0)[5:].mul_(2.0), [held, held.t()]) == 100 * FLOAT


def test_forward_and_backward_pass_need_what_is_counted_by_hand():
    """x (8, 16) -> exp -> exp -> sum: each result is kept for its gradient; the gradients need two more at a time."""
    x = torch.zeros(8, 16, requires_grad=True)
    a_tensor = 8 * 16 * FLOAT

    def forward():
        return x.exp().exp().sum()

    kept = 2 * a_tensor + FLOAT  # both results and the sum
    assert tensors_at_peak(forward, [x]) == a_tensor + kept
    # backward: the gradient of the sum is an expanded 1; of each exp there is one more tensor, as its result is freed
    assert tensors_at_peak(lambda: forward().backward(), [x]) == a_tensor + kept + FLOAT + a_tensor


@pytest.mark.parametrize("width", [3, 64])
def test_linear_map_needs_its_weights_gradients_and_activations(width):
    layer, x = nn.Linear(width, 1, bias=False), torch.zeros(10, width)
    weights, out = width * FLOAT, 10 * FLOAT

    def step():
        (layer(x) ** 2).sum().backward()

    peak = tensors_at_peak(step, [*layer.parameters(), x])
    least = weights + 10 * width * FLOAT + 2 * out + FLOAT  # the output and its square, whose sum is the loss
    assert least <= peak <= least + weights + 4 * out + 3 * FLOAT  # and gradients: of the weights, of (10, 1) tensors


def test_recomputed_activations_are_not_kept():
    x = torch.zeros(1000, requires_grad=True)

    def chain(x):
        for _ in range(8):
            x = x.exp()
        return x

    whole = tensors_at_peak(lambda: chain(chain(x)).sum().backward(), [x])

    def in_halves():
        return checkpoint(chain, checkpoint(chain, x, use_reentrant=False), use_reentrant=False)

    halves = tensors_at_peak(lambda: in_halves().sum().backward(), [x])
    assert whole - halves >= 5 * 1000 * FLOAT


@pytest.mark.parametrize("method", ["lora", "fine_tune", "inducer", "prefix"])
def test_step_needs_what_the_allocator_of_torch_counts(overrides, method):
    """The reference is torch's profiler, which sees each allocation; it does not see what was there before."""
    own = [override for override in overrides if not override.startswith("method.")]
    config = compose([*own, f"method={method}"])
    setting = built(config)
    tuned, optimizer = setting.tuned.train(), make_optimizer(setting.tuned, config.trainer)
    batch = experiment.longest_batch(config.trainer, setting.splits.train.lengths, config.seed)
    examples = setting.splits.train.take(batch.indices)

    def step():
        experiment.add_gradients(setting.accelerator, tuned, setting.task, examples, config.trainer)

    step()
    optimizer.step()
    optimizer.zero_grad()
    found = memory_of_step(setting, config, optimizer)
    model = {id(t): t.nbytes for t in (*tuned.model.parameters(), *tuned.model.buffers())}
    moments = [value.nbytes for state in optimizer.state.values() for value in state.values()]
    assert found - sum(model.values()) - sum(moments) == pytest.approx(harness.peak_memory(step), rel=1e-3)


def test_measuring_leaves_nothing_behind(overrides):
    config = compose(overrides)
    setting = built(config)
    optimizer = make_optimizer(setting.tuned, config.trainer)
    before = {name: tensor.clone() for name, tensor in setting.tuned.state_dict().items()}
    random, training = Generators.now(), setting.tuned.training
    first = memory_of_step(setting, config, optimizer)
    assert memory_of_step(setting, config, optimizer) == first > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in setting.tuned.state_dict().items())
    assert all(parameter.grad is None for parameter in setting.tuned.parameters())
    assert torch.equal(Generators.now().of_torch, random.of_torch)
    assert Generators.now().of_python == random.of_python
    assert setting.tuned.training == training
    assert not optimizer.state


def test_run_records_its_own_memory_and_methods_differ_as_they_should(overrides):
    own = [override for override in overrides if not override.startswith("method.")]
    frozen, whole = (run(compose([*own, f"method={name}"])).record for name in ("head_only", "fine_tune"))
    assert frozen.peak_memory_of == whole.peak_memory_of == "tensors_allocated"
    # fine-tuning adds at least a gradient and two moments of each weight of the model
    assert whole.peak_memory_bytes - frozen.peak_memory_bytes > 3 * FLOAT * 0.9 * frozen.parameters.plm
    assert frozen.peak_memory_bytes > FLOAT * frozen.parameters.plm


def test_step_is_not_taken_again_on_a_gpu_which_counts_by_itself(overrides, monkeypatch):
    setting = built(compose(overrides))
    monkeypatch.setattr(type(setting.accelerator), "device", torch.device("cuda"))
    assert memory_of_step(setting, compose(overrides), None) is None


def test_run_without_a_step_has_no_memory_to_tell(overrides):
    assert run(compose([*overrides, "trainer.epochs=0"])).record.peak_memory_bytes is None
