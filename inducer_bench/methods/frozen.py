"""The PLM's frozen weights in 16 bits, so that autocast does not cast them again at each use.

Autocast casts weight and bias of a linear map where they are used, a copy of the whole PLM in each training step. The
same casts made once give the same numbers. Embeddings and LayerNorms stay as they are: autocast computes with them in
their own type. So do weights that a linear map shares with another module, such as a tied embedding.
"""

from functools import partial

import torch
from torch import Tensor, nn

from inducer_bench.errors import UserError
from inducer_bench.methods.layers import is_transposed
from inducer_bench.methods.tuned import TunedModel


def keep_frozen(tuned: TunedModel, dtype: torch.dtype) -> None:
    """Cast the frozen weights of the PLM's linear maps; `detach` restores them bit for bit, from copies on the CPU.

    Raises:
        UserError: the method trains all of them.
    """
    elsewhere = {id(p) for module in tuned.model.modules() if not _is_linear(module) for p in module.parameters(False)}
    plm = {id(parameter) for parameter in tuned.plm_parameters().values()}
    cast = [
        parameter
        for module in tuned.model.modules()
        if _is_linear(module)
        for parameter in module.parameters(recurse=False)
        if id(parameter) in plm - elsewhere and not parameter.requires_grad
    ]
    if not cast:
        raise UserError(f"trainer.frozen: found 'bf16', but '{tuned.options.name}' trains all weights; allowed: fp32")
    tuned.on_detach(partial(_restore, [(parameter, parameter.detach().cpu()) for parameter in cast]))
    for parameter in cast:
        parameter.data = parameter.data.to(dtype)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or is_transposed(module)


def _restore(originals: list[tuple[nn.Parameter, Tensor]]) -> None:
    for parameter, value in originals:
        parameter.data = value.to(parameter.device)
