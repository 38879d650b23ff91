"""What a part of a method may offer beside its parameters."""

from typing import Protocol, runtime_checkable

from torch import Tensor
from transformers import PreTrainedModel


@runtime_checkable
class HasDeployedForm(Protocol):
    """A part whose deployed tensors differ from its parameters."""

    def deployed(self) -> dict[str, Tensor]:
        """Name -> tensor of what a deployed model needs of the part."""
        ...


@runtime_checkable
class Mergeable(Protocol):
    """A part, or what a library has put into the model, that can be folded into the PLM's own weights."""

    def check_mergeable(self) -> None:
        """Raise a `UserError` if the weights cannot take the change; changes nothing."""
        ...

    def merge(self) -> None:
        """Change the weights."""
        ...


@runtime_checkable
class Appendable(Protocol):
    """A part that a merged model takes over as more rows of its embeddings."""

    def append_to(self, model: PreTrainedModel) -> None:
        """Add the rows to a model from which the part has been removed."""
        ...
