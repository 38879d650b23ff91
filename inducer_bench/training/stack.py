"""Several seeds of one method on one frozen PLM: their parameters stacked, one forward and backward pass for all.

    lane i:  loss_i = loss(PLM, parameters[i], batch_i)          parameters[name] (N, ...), batch (N, B, T)
    step:    vmap over i; (loss_1 + ... + loss_N).backward(), in which gradients of one lane depend on that lane alone

`torch.vmap` turns each operation of the model into one for all lanes: products with frozen weights become one product
of N B rows, those with trained weights a batch of N products. So no method needs to know of it. AdamW is elementwise;
norm and clipping are computed for each lane. Dropout is drawn for each lane from its own generator, as in a run alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from inducer_bench.methods.dropout import DropoutByLane
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.base import Batch, Prediction, Task


@dataclass
class Lane:
    """What a stack has of one run, equal to what the run has alone.

    The values of `weights` and of the optimizer's state are the lane's slices of the stack, once it is in one.
    """

    weights: dict[str, nn.Parameter]  # what it trains, by name
    fixed: dict[str, Tensor]  # what it does not train, but draws by its seed, such as a frozen head
    optimizer: torch.optim.Optimizer  # of `weights`
    generator: torch.Generator  # of the training device

    @classmethod
    def of(cls, tuned: TunedModel, make_optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]) -> "Lane":
        """A copy of what a newly tuned model has of its own, with the state of the device's global generator."""
        weights = {name: nn.Parameter(p.detach().clone()) for name, p in tuned.trained_parameters().items()}
        plm = tuned.plm_parameters().keys()
        fixed = {
            name: tensor.detach().clone()
            for name, tensor in (*tuned.model.named_parameters(), *tuned.model.named_buffers())
            if name not in weights and name not in plm
        }
        device = next(iter(weights.values())).device
        state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
        generator = torch.Generator(device)
        generator.set_state(state)
        return cls(weights, fixed, make_optimizer(list(weights.values())), generator)

    @torch.no_grad()
    def load_into(self, tuned: TunedModel) -> None:
        """Give a model of the same method the lane's values."""
        own = dict((*tuned.model.named_parameters(), *tuned.model.named_buffers()))
        for name, tensor in (self.weights | self.fixed).items():
            own[name].copy_(tensor)


class Stack:
    """N lanes that take each step together.

    Args:
        tuned: the model with the method attached; its own values of the trained parameters are not used.
        task: gives loss and predictions.
        lanes: equal in the names and shapes of their weights and in the steps taken.

    Attributes:
        parameters: name -> trained parameter (N, ...).
        optimizer: of `parameters`, with the states of the lanes.
    """

    def __init__(self, tuned: TunedModel, task: Task, lanes: Sequence[Lane]) -> None:
        self.lanes = lanes
        self.tuned, self.task = tuned, task
        first = lanes[0]
        self.parameters = {
            name: nn.Parameter(torch.stack([lane.weights[name].detach() for lane in lanes])) for name in first.weights
        }
        self._fixed = {
            name: torch.stack([lane.fixed[name] for lane in lanes])
            for name, tensor in first.fixed.items()
            if not all(torch.equal(lane.fixed[name], tensor) for lane in lanes)
        }
        self.optimizer = self._stacked_optimizer()
        self._numbers = torch.arange(len(lanes), device=first.generator.device)
        self._loss = _Loss(tuned, task)
        self._names = _aliases(tuned.model)
        self.share()

    def _stacked_optimizer(self) -> torch.optim.Optimizer:
        """The lanes' optimizer for the stacked parameters, in the same groups: which one has decay, one lane's shape says."""
        first = self.lanes[0]
        names = {id(parameter): name for name, parameter in first.weights.items()}
        groups = [
            {**group, "params": [self.parameters[names[id(p)]] for p in group["params"]]}
            for group in first.optimizer.param_groups
        ]
        optimizer = type(first.optimizer)(groups)
        for name, parameter in first.weights.items():
            states = [lane.optimizer.state.get(lane.weights[name], {}) for lane in self.lanes]
            optimizer.state[self.parameters[name]] |= {
                key: torch.stack([state[key] for state in states]) if value.ndim else value.clone()
                for key, value in states[0].items()
            }
        return optimizer

    def share(self) -> None:
        """Make the lanes' weights and optimizer states their slices of the stack's, to be saved or restacked."""
        for i, lane in enumerate(self.lanes):
            for name, stacked in self.parameters.items():
                lane.weights[name].data = stacked.data[i]
                lane.optimizer.state[lane.weights[name]] = {
                    key: value[i] if value.ndim else value for key, value in self.optimizer.state[stacked].items()
                }

    def add_gradients(self, batches: Sequence[Batch], counts: Tensor, label_smoothing: float) -> Tensor:
        """Accumulate the gradients of each lane's mean loss; returns the summed losses (N,).

        Args:
            batches: of each lane, in equal shapes.
            counts: (N,) terms of the loss of each lane's whole batch.
            label_smoothing: of the loss.
        """
        batch = {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}

        def lane_loss(parameters: dict[str, Tensor], batch: Batch, number: Tensor) -> Tensor:
            with DropoutByLane([lane.generator for lane in self.lanes], number):
                loss: Tensor = functional_call(
                    self._loss, self._named(parameters, "tuned.model."), (batch, label_smoothing), tie_weights=False
                )
            return loss

        losses = torch.vmap(lane_loss, randomness="different")(self._values, batch, self._numbers)
        (losses / counts).sum().backward()
        return losses.detach()

    def update(self, clip_norm: float | None) -> Tensor:
        """Clip each lane's gradients to the norm `clip_norm`, take one step, and clear them; returns the norms (N,)."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).norm(dim=1)
        if clip_norm is not None:
            factors = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norms

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[Prediction]]:
        """`task.predict` for each lane, on the same batch."""
        outputs = _Outputs(self._forward)
        return [self.task.predict(outputs.of_lane(i), batch) for i in range(len(self.lanes))]

    def _forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The model's output for inputs that the lanes share: a tensor (N, ...), or a dict of tensors."""

        def lane_output(parameters: dict[str, Tensor]) -> Any:
            output = functional_call(
                self.tuned, self._named(parameters, "model."), args, kwargs, tie_weights=False
            )
            if isinstance(output, Tensor):
                return output
            return {name: value for name, value in output.items() if isinstance(value, Tensor)}

        return torch.vmap(lane_output)(self._values)

    @property
    def _values(self) -> dict[str, Tensor]:
        return {**self.parameters, **self._fixed}

    def _named(self, values: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
        """Values by every name that a module has for them: tied ones have several."""
        return {f"{prefix}{alias}": value for name, value in values.items() for alias in self._names[name]}


class _Loss(nn.Module):
    """The loss as a module, so that `functional_call` exchanges parameters below whatever a task does with the model."""

    def __init__(self, tuned: TunedModel, task: Task) -> None:
        super().__init__()
        self.tuned, self.task = tuned, task

    def forward(self, batch: Batch, label_smoothing: float) -> Tensor:
        """(), summed over the batch."""
        return self.task.loss(self.tuned, batch, label_smoothing)


class _Outputs:
    """The outputs of one batch: computed for all lanes when the first lane asks, then handed to the others."""

    def __init__(self, forward: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> None:
        self._forward = forward
        self._calls: list[Any] = []

    def of_lane(self, number: int) -> "_LaneModel":
        return _LaneModel(self, number)

    def call(self, index: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of the batch's call `index`, (N, ...)."""
        if index == len(self._calls):
            self._calls.append(self._forward(args, kwargs))
        return self._calls[index]


class _LaneModel(nn.Module):
    """The model of one lane, as a task's `predict` calls it."""

    def __init__(self, outputs: _Outputs, number: int) -> None:
        super().__init__()
        self._outputs, self._number = outputs, number
        self._made = 0  # calls

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns: a tensor, or an object with tensors such as `logits`."""
        output = self._outputs.call(self._made, args, kwargs)
        self._made += 1
        if isinstance(output, Tensor):
            return output[self._number]
        return SimpleNamespace(**{name: value[self._number] for name, value in output.items()})


def _aliases(model: nn.Module) -> dict[str, list[str]]:
    """Name -> all names of the same parameter or buffer."""
    names: dict[int, list[str]] = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            names.setdefault(id(tensor), []).append(name)
    return {name: same for same in names.values() for name in same}
