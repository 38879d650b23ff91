"""Methods of the installed `peft` library (https://github.com/huggingface/peft), injected by the library itself.

For comparisons; for instance IA3, Liu et al. 2022 (https://arxiv.org/abs/2205.05638):

    tuned = ib.attach(model, "peft", peft_type="IA3", config={"target_modules": ["query", "value"]})
"""

from typing import Any

from torch import nn

from inducer_bench.errors import UserError, first_line, unknown
from inducer_bench.methods.options import PeftOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: PeftOptions) -> None:
    """Let peft put its layers into the model.

    Raises:
        UserError: peft is not installed, has no such type, or cannot inject it into this model.
    """
    try:
        import peft
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as configs
        from peft.tuners.tuners_utils import BaseTunerLayer
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
    before = {id(parameter) for parameter in model.parameters()}
    modules = dict(model.named_modules())
    try:
        # This changes the model in place; the wrapper that it returns is only needed to save.
        wrapped = peft.get_peft_model(model, by_name[name](**options.config))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"method.peft_type: peft cannot attach {name} to {type(model).__name__}: {first_line(error)}"
        ) from None
    added = [parameter for parameter in model.parameters() if id(parameter) not in before and parameter.requires_grad]
    replaced = [path for path in modules if isinstance(model.get_submodule(path), BaseTunerLayer)]
    tuned.adopt(wrapped, added, undo=lambda: _put_back(model, {path: modules[path] for path in replaced}))


def _put_back(model: nn.Module, originals: dict[str, Any]) -> None:
    """Replace peft's layers with the modules that they wrap."""
    for path, module in originals.items():
        model.set_submodule(path, module)
    model.__dict__.pop("peft_config", None)
