"""The options of every tuning method; `conf/method/*.yaml` and `ib.attach(model, name, ...)` share them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", strict=True)

Rank = Annotated[int, Field(gt=0)]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class FineTune:
    """Train every parameter of the PLM."""

    name: Literal["fine_tune"] = "fine_tune"


@dataclass(config=STRICT, frozen=True, kw_only=True)
class HeadOnly:
    """Train the task's head on the frozen PLM: the floor every method must beat."""

    name: Literal["head_only"] = "head_only"


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Inducer:
    """Inducer-tuning; the switches are the paper's ablations."""

    name: Literal["inducer"] = "inducer"
    r_k: Annotated[int, Field(ge=0)]  # rank of MLP_k, at most the head width; below 2 there is no MLP_k
    r_v: Rank  # rank of MLP_v
    extension: bool = True  # P_v lives after W_O (False: inside the head)
    share_output: bool = False  # one B_v for all heads
    gate: bool = True  # False: g = 1, a multi-head adapter
    value_residual: bool = True  # False: (1 - g) f + g MLP_v
    sqrt_position: bool = False  # the self score times sqrt(position + 1); for r_k = 0
    gate_before_mask: bool = False  # released code: g also sees padding


MethodConfig = Annotated[FineTune | HeadOnly | Inducer, Field(discriminator="name")]
METHOD_OPTIONS: dict[str, type] = {"fine_tune": FineTune, "head_only": HeadOnly, "inducer": Inducer}
