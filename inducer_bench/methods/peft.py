"""Methods of the installed `peft` library (https://github.com/huggingface/peft), injected by the library itself.

For comparisons; for instance IA3, Liu et al. 2022 (https://arxiv.org/abs/2205.05638):

    tuned = ib.attach(model, "peft", peft_type="IA3", config={"target_modules": ["query", "value"]})

Some of its types change what was there before: PiSSA and OLoRA rewrite frozen weights, others wrap heads, set hooks or
make biases trainable. So the model is compared before and after (`changes.py`), and `detach` undoes every difference.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from inducer_bench.errors import UserError, first_line, unknown
from inducer_bench.methods.changes import Before
from inducer_bench.methods.options import PeftOptions
from inducer_bench.methods.tuned import TunedModel

TOLERANCE = 1000 * torch.finfo(torch.float32).eps  # of merged outputs, relative to the greatest


def attach(tuned: TunedModel, options: PeftOptions) -> None:
    """Let peft put its layers into the model.

    Raises:
        UserError: peft is not installed, has no such type, cannot inject it into this model, or the model then does not
            run, for instance because the type needs other inputs.
    """
    try:
        import peft
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as configs
    except ImportError:
        raise UserError("method: method=peft needs the library; pip install 'inducer-bench[peft]'") from None
    # Prompt methods wrap the model instead of changing it, so they cannot be attached.
    by_name = {
        str(kind.value): config for kind, config in configs.items() if not issubclass(config, peft.PromptLearningConfig)
    }
    name = options.peft_type.upper()
    if name not in by_name:
        raise unknown("method.peft_type", options.peft_type, by_name)
    model = tuned.model
    runs, before = _runs(model), Before(model)
    try:
        # This changes the model in place; the wrapper that it returns is only needed to save and to merge.
        wrapped = peft.get_peft_model(model, by_name[name](**options.config))
    except MemoryError:
        raise
    except Exception as error:  # each type has checks of its own, which raise all kinds of errors
        raise UserError(
            f"method.peft_type: peft cannot attach {name} to {type(model).__name__}: {first_line(error)}"
        ) from None
    finally:
        tuned.on_detach(before.undo(), before.values())
    if runs:
        try:
            _outputs(model)
        except Exception as error:
            raise UserError(
                f"method.peft_type: {type(model).__name__} does not run with {name}: {first_line(error)}"
            ) from None
    old = {id(parameter) for parameter in before.parameters.values()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tuned.adopt(wrapped, Bridge(name, wrapped, before.parameters), [p for p in trained if id(p) not in old])
    for parameter in trained:
        if id(parameter) in old:  # such as biases, with `bias: all`
            tuned.train_existing(parameter)


class Bridge:
    """What peft has put into a model, as far as it can be merged."""

    def __init__(self, name: str, wrapped: Any, parameters: dict[str, nn.Parameter]) -> None:
        self.name, self._wrapped = name, wrapped
        self._parameters = parameters  # the model's own, by their names without peft
        self._merged: dict[str, nn.Parameter] = {}

    def check_mergeable(self) -> None:
        """Let peft merge a copy, and compare its outputs.

        Raises:
            UserError: peft cannot merge this type, or the merged model is another one.
        """
        try:
            merged: PreTrainedModel = copy.deepcopy(self._wrapped).merge_and_unload()
            self._merged = dict(merged.named_parameters(remove_duplicate=False))
            wrong = self._merged.keys() != self._parameters.keys() or not _agree(merged, self._wrapped.get_base_model())
        except MemoryError:
            raise
        except Exception as error:
            raise self._cannot(first_line(error)) from None
        if wrong:
            raise self._cannot("what peft merges gives other outputs")

    @torch.no_grad()
    def merge(self) -> None:
        """Give the model's own parameters the values of the merged copy."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self._merged[name])
        self._merged.clear()

    def _cannot(self, reason: str) -> UserError:
        return UserError(f"method: 'peft' cannot be merged into the PLM's weights: {self.name}: {reason}")


def _runs(model: PreTrainedModel) -> bool:
    """Whether the model, before anything is attached, can be tried with two tokens."""
    if model.device.type == "meta":
        return False
    try:
        _outputs(model)
    except Exception:  # a model of something else than text
        return False
    return True


def _agree(merged: PreTrainedModel, tuned: PreTrainedModel) -> bool:
    found, expected = _outputs(merged), _outputs(tuned)
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


@torch.no_grad()
def _outputs(model: PreTrainedModel) -> Tensor:
    """The first output of the model for two tokens, such as logits, without dropout."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        ids = torch.tensor([[0, 1]], device=model.device)
        outputs: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids))[0]
    finally:
        for module in training:
            module.training = True
    return outputs
