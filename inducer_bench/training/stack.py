"""Several seeds of one method on one frozen PLM: their parameters stacked, one forward and backward pass for all.

    lane i:  loss_i = loss(PLM, parameters[i], batch_i)          parameters[name] (N, ...), batch (N, B, T)
    step:    vmap over i; (loss_1 + ... + loss_N).backward(), in which gradients of one lane depend on that lane alone

`torch.vmap` turns each operation of the model into one for all lanes: products with frozen weights become one product
of N B rows, those with trained weights a batch of N products. So no method needs to know of it. AdamW is elementwise;
norm and clipping are computed for each lane. Dropout is drawn for each lane from its own generator, as in a run alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from inducer_bench.methods.dropout import DropoutByLane
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.base import Batch, Columns, Task


@dataclass
class Lane:
    """What a stack has of one run, equal to what the run has alone.

    The values of `weights` and of the optimizer's state are the lane's slices of the stack, once it is in one.
    """

    weights: dict[str, nn.Parameter]  # what it trains, by name
    fixed: dict[str, Tensor]  # what it does not train, but draws by its seed, such as a frozen head
    optimizer: torch.optim.AdamW  # of `weights`
    generator: torch.Generator  # of the training device

    @classmethod
    def of(cls, tuned: TunedModel, make_optimizer: Callable[[list[nn.Parameter]], torch.optim.AdamW]) -> "Lane":
        """A copy of what a newly tuned model has of its own, with a new generator."""
        weights = {name: nn.Parameter(p.detach().clone()) for name, p in tuned.trained_parameters().items()}
        plm = tuned.plm_parameters().keys()
        fixed = {
            name: tensor.detach().clone()
            for name, tensor in (*tuned.model.named_parameters(), *tuned.model.named_buffers())
            if name not in weights and name not in plm
        }
        generator = torch.Generator(next(iter(weights.values())).device)
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
        self._numbers = torch.arange(len(lanes), device=next(iter(self.parameters.values())).device)
        self._uses = _Uses(tuned)
        self._names = _aliases(tuned.model)
        self.share()

    def _stacked_optimizer(self) -> torch.optim.AdamW:
        """The lanes' optimizer for the stacked parameters, in the groups of the lanes, whose shapes decide on decay."""
        first = self.lanes[0]
        names = {id(parameter): name for name, parameter in first.weights.items()}
        groups = [
            {**group, "params": [self.parameters[names[id(p)]] for p in group["params"]]}
            for group in first.optimizer.param_groups
        ]
        optimizer = torch.optim.AdamW(groups)
        for name in first.weights:
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

    def losses(self, batch: Batch, label_smoothing: float) -> Tensor:
        """`task.loss` of each lane on its own part of a batch (N, ...): (N,)."""

        def lane_loss(parameters: dict[str, Tensor], batch: Batch, number: Tensor) -> Tensor:
            with DropoutByLane([lane.generator for lane in self.lanes], number):
                loss: Tensor = functional_call(
                    self._uses, self._named(parameters), (self.task.loss, batch, label_smoothing), tie_weights=False
                )
            return loss

        losses: Tensor = torch.vmap(lane_loss, randomness="different")(self._values, batch, self._numbers)
        return losses

    def update(self, clip_norm: float | None) -> Tensor:
        """Clip each lane's gradients to the norm `clip_norm`, take one step, and clear them; returns the norms (N,)."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms: Tensor = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).norm(dim=1)
        if clip_norm is not None:
            factors = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norms

    def predict(self, batch: Batch) -> Columns:
        """`task.predict` of each lane on the same batch: columns (B, N, ...) instead of (B, ...)."""

        def lane_columns(parameters: dict[str, Tensor]) -> Columns:
            columns: Columns = functional_call(
                self._uses, self._named(parameters), (self.task.predict, batch), tie_weights=False
            )
            return columns

        columns: Columns = torch.vmap(lane_columns)(self._values)
        return {name: column.transpose(0, 1) for name, column in columns.items()}

    @property
    def _values(self) -> dict[str, Tensor]:
        return {**self.parameters, **self._fixed}

    def _named(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Values by every name that `_uses` has for them: tied ones have several."""
        return {f"tuned.model.{alias}": value for name, value in values.items() for alias in self._names[name]}


class _Uses(nn.Module):
    """What a task does with the model, as a module: `functional_call` exchanges the parameters below it."""

    def __init__(self, tuned: TunedModel) -> None:
        super().__init__()
        self.tuned = tuned

    def forward(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function` of the model and `args`."""
        return function(self.tuned, *args)


def _aliases(model: nn.Module) -> dict[str, list[str]]:
    """Name -> all names of the same parameter or buffer."""
    names: dict[int, list[str]] = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            names.setdefault(id(tensor), []).append(name)
    return {name: same for same in names.values() for name in same}
