"""The options of every tuning method, with the ranks that a budget decides and the parameter counts that follow.

`conf/method/*.yaml` and `ib.attach(model, name, ...)` share these classes. A method `x` is a class here and a module
`methods/x.py` with `attach(tuned, options)`. A method from outside is one module that defines both: a class `Options`
that inherits from `MethodOptions`, and `attach`. The module's dotted name is the method's name.

Letters as in `methods/`: d model width, H heads, G key heads, p head width, r rank or bottleneck.
"""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Sizes
from inducer_bench.options import Fraction, PositiveFloat, PositiveInt, options, unknown_name, user_module

LoraTarget = Literal["q", "k", "v", "o", "ffn"]


@dataclasses.dataclass(frozen=True)
class Rank:
    """A rank that `method.budget` decides."""

    path: tuple[str, ...]  # attribute names from the options to the rank, for instance ("lora", "r")
    least: int = 1
    within: Literal["head_width", "width", "ffn"] | None = None  # the size of the PLM that it is at most
    allowed: int = 0  # up to here on any PLM, however narrow, if it is set by hand; a budget stays within
    scaled: tuple[str, ...] = ()  # attributes beside it that grow as it does: alpha, where the method has alpha / r

    def scaled_paths(self) -> list[tuple[str, ...]]:
        """The attribute names from the options to each value that the rank scales, for instance ("lora", "alpha")."""
        return [(*self.path[:-1], name) for name in self.scaled]

    def most(self, s: Sizes) -> int | None:
        """The largest value on a PLM of these sizes; None for no bound.

        A product of two maps has at most the rank of the smaller width between which it maps: that of a head, or d.
        What has a nonlinearity in between, or attends to pairs, which is the same to an adapter (He et al. 2022), gains
        from more; it is bounded by the width of the PLM's own FFN.
        """
        return None if self.within is None else int(getattr(s, self.within))


_ADAPTER = Rank(("adapter", "r"), within="ffn")  # of a method that contains one
_LORA = Rank(("lora", "r"), within="width", scaled=("alpha",))


@options
class MethodOptions:
    """The base of every method's options.

    A method of your own is a module, `my_package.scale`, with a class `Options` that inherits from this one and a
    function `attach`, which puts it on the model:

        import torch
        import inducer_bench as ib
        from inducer_bench.options import PositiveFloat, options

        @options
        class Options(ib.MethodOptions):
            rate: PositiveFloat = 1.0

        class Scale(torch.nn.Module):
            def __init__(self, width, rate):
                super().__init__()
                self.rate, self.w = rate, torch.nn.Parameter(torch.zeros(width))

            def hook(self, module, inputs, output):
                return output * (1 + self.rate * self.w)

        def attach(tuned: ib.TunedModel, options: Options) -> None:
            for layer in tuned.layers():
                scale = Scale(layer.width, options.rate)
                tuned.add_part(layer.ffn_down.module, "scale", scale)
                tuned.add_hook(layer.ffn_down.module.register_forward_hook(scale.hook))

    Then `ib.attach(model, "my_package.scale", rate=2.0)` or `ib.attach(model, Options(rate=2.0))`, and
    `ib.run([..., "method=own", "method.name=my_package.scale", "+method.rate=2.0", "trainer.lr=5e-3"])`.
    """

    name: str = ""  # always what `method_name` gives

    made_by_users: ClassVar[bool] = True
    shipped_as: ClassVar[str] = ""  # the name of a method of this package; one from outside has its module's name
    title: ClassVar[str] = ""  # the name for people, in tables and figures; by default it follows from the name
    ranks: ClassVar[tuple[Rank, ...]] = ()  # decided by `method.budget`
    only_head: ClassVar[bool] = False  # trains nothing but the task's head
    in_attention: ClassVar[bool] = False  # changes what attention does with queries, keys and values
    shares_plm: ClassVar[bool] = True  # leaves the PLM frozen, so that several seeds can be trained on one

    def __post_init__(self) -> None:
        if self.name not in ("", self.method_name()):
            raise PydanticCustomError("name", "{name}", {"name": self.method_name()})
        object.__setattr__(self, "name", self.method_name())

    @classmethod
    def method_name(cls) -> str:
        """The name in configurations, records and tables."""
        return cls.shipped_as or cls.__module__

    @classmethod
    def module_name(cls) -> str:
        """The module whose `attach` puts the method on a model."""
        return f"inducer_bench.methods.{cls.shipped_as}" if cls.shipped_as else cls.__module__

    def deployed(self) -> "MethodOptions":
        """The options of the method's deployed form."""
        return self

    def parameters(self, s: Sizes) -> int:
        """The number of the method's deployed parameters on a PLM of these sizes.

        Raises:
            UserError: the method does not declare it; `method.budget` needs it.
        """
        raise UserError(
            f"method.budget: '{self.name}' does not declare its number of parameters; define `parameters` in Options"
        )


@options
class FineTuneOptions(MethodOptions):
    """Train every parameter of the PLM."""

    shipped_as: ClassVar[str] = "fine_tune"
    title: ClassVar[str] = "Fine-tuning"
    shares_plm: ClassVar[bool] = False


@options
class HeadOnlyOptions(MethodOptions):
    """Train the task's head on the frozen PLM: the baseline that every method must beat."""

    shipped_as: ClassVar[str] = "head_only"
    title: ClassVar[str] = "Head only"
    only_head: ClassVar[bool] = True


@options
class BitFitOptions(MethodOptions):
    """Train the PLM's biases."""

    shipped_as: ClassVar[str] = "bitfit"
    title: ClassVar[str] = "BitFit"


@options
class LoraOptions(MethodOptions):
    """Low-rank changes of linear maps."""

    r: PositiveInt
    alpha: PositiveFloat  # the change is scaled by alpha / r
    targets: Annotated[list[LoraTarget], Field(min_length=1)] = dataclasses.field(default_factory=lambda: ["q", "v"])
    dropout: Fraction = 0.0  # on the map's input
    bias: bool = False  # also add a bias, scaled by alpha / r, as in the released NLG code

    shipped_as: ClassVar[str] = "lora"
    title: ClassVar[str] = "LoRA"
    ranks: ClassVar[tuple[Rank, ...]] = (Rank(("r",), within="width", scaled=("alpha",)),)

    def parameters(self, s: Sizes) -> int:
        """r (in + out) for each targeted map, and its bias."""
        d, heads, keys = s.width, s.heads * s.head_width, s.key_heads * s.head_width
        maps = {"q": [(d, heads)], "k": [(d, keys)], "v": [(d, keys)], "o": [(heads, d)],
                "ffn": [(d, s.ffn)] * s.ffn_ups + [(s.ffn, d)]}  # fmt: skip
        return s.layers * sum(self.r * (i + out) + self.bias * out for name in self.targets for i, out in maps[name])


@options
class AdapterOptions(MethodOptions):
    """Bottleneck adapters."""

    r: PositiveInt  # bottleneck
    sites: Annotated[list[Literal["attention", "ffn"]], Field(min_length=1)] = dataclasses.field(
        default_factory=lambda: ["ffn"]
    )
    placement: Literal["pfeiffer", "sequential", "parallel"] = "pfeiffer"  # Houlsby: sequential on attention and ffn
    scale: PositiveFloat = 1.0  # of what the adapter adds
    layer_norm: Literal["none", "before"] = "none"  # before: the adapter reads a LayerNorm of its own

    shipped_as: ClassVar[str] = "adapter"
    title: ClassVar[str] = "Adapter"
    ranks: ClassVar[tuple[Rank, ...]] = (Rank(("r",), within="ffn"),)

    @field_validator("placement")
    @classmethod
    def _parallel_to_the_ffn_only(cls, placement: str, info: ValidationInfo) -> str:
        if placement == "parallel" and "attention" in info.data.get("sites", []):
            raise PydanticCustomError("placement", "pfeiffer, sequential; parallel only with sites=[ffn]")
        return placement

    def parameters(self, s: Sizes) -> int:
        """Two linear maps with biases at each site, and a LayerNorm."""
        norm = 0 if self.layer_norm == "none" else 2 * s.width
        return s.layers * len(self.sites) * (2 * s.width * self.r + self.r + s.width + norm)


@options
class PrefixOptions(MethodOptions):
    """Prefix-tuning."""

    length: PositiveInt  # virtual key/value pairs in each layer
    reparameterize: bool = True  # train an embedding and an MLP that yield the pairs
    hidden: Annotated[int, Field(gt=0, le=2**16)] = 512  # width of that MLP

    shipped_as: ClassVar[str] = "prefix"
    title: ClassVar[str] = "Prefix"
    in_attention: ClassVar[bool] = True
    ranks: ClassVar[tuple[Rank, ...]] = (Rank(("length",), within="ffn"),)

    def deployed(self) -> "PrefixOptions":
        """The pairs alone."""
        return dataclasses.replace(self, reparameterize=False)

    def parameters(self, s: Sizes) -> int:
        """The pairs."""
        return s.layers * self.length * 2 * s.key_heads * s.head_width


@options
class MamOptions(MethodOptions):
    """Mix-and-match: a prefix in attention and an adapter parallel to the FFN."""

    prefix: PrefixOptions
    adapter: AdapterOptions

    shipped_as: ClassVar[str] = "mam"
    title: ClassVar[str] = "MAM adapter"
    in_attention: ClassVar[bool] = True
    ranks: ClassVar[tuple[Rank, ...]] = (Rank(("prefix", "length"), within="ffn"), _ADAPTER)

    def deployed(self) -> "MamOptions":
        """The prefix as its pairs alone."""
        return dataclasses.replace(self, prefix=self.prefix.deployed())

    def parameters(self, s: Sizes) -> int:
        """The sum of those of its parts."""
        return self.prefix.parameters(s) + self.adapter.parameters(s)


@options
class InducerOptions(MethodOptions):
    """Inducer-tuning; the switches are the paper's ablations, `key_residual` and `self_temperature` are ours."""

    r_k: Annotated[int, Field(ge=0)]  # rank of MLP_k, at most the head width; no MLP_k below 2
    r_v: PositiveInt  # rank of MLP_v
    extension: bool = True  # P_v lives after W_O (False: inside the head)
    share_output: bool = False  # one B_v for all heads
    gate: bool = True  # False: g = 1, a multi-head adapter
    value_residual: bool = True  # False: (1 - g) f + g MLP_v
    sqrt_position: bool = False  # the self score times sqrt(position + 1); for r_k = 0; left padding counts
    key_residual: Literal["query", "attended"] = (
        "query"  # what P_k changes: attended is the key that attention averages
    )
    self_temperature: PositiveFloat = 1.0  # the self score is divided by it
    gate_before_mask: bool = False  # as in the released code: in encoders, g also sees padding

    shipped_as: ClassVar[str] = "inducer"
    title: ClassVar[str] = "Inducer"
    in_attention: ClassVar[bool] = True
    ranks: ClassVar[tuple[Rank, ...]] = (
        Rank(("r_k",), least=2, within="head_width", allowed=8),  # tanh is in between; the release has 6 of 4
        Rank(("r_v",), within="ffn"),
    )

    def parameters(self, s: Sizes) -> int:
        """MLP_k and MLP_v of every head; the second map of MLP_v ends after W_O or inside the head."""
        H, p, d = s.heads, s.head_width, s.width
        key = H * (2 * p * self.r_k + self.r_k + p) if self.gate and self.r_k >= 2 else 0
        value = H * (p * self.r_v + self.r_v)
        output = (1 if self.share_output else H) * self.r_v * d + d if self.extension else H * (self.r_v * p + p)
        return s.layers * (key + value + output)


@options
class InducerLoraOptions(InducerOptions):
    """Inducers that see a query changed by LoRA."""

    lora: LoraOptions

    shipped_as: ClassVar[str] = "inducer_lora"
    title: ClassVar[str] = "Inducer + LoRA"
    ranks: ClassVar[tuple[Rank, ...]] = (*InducerOptions.ranks, _LORA)

    def parameters(self, s: Sizes) -> int:
        """The sum of those of its parts."""
        return super().parameters(s) + self.lora.parameters(s)


@options
class InducerFfnOptions(InducerLoraOptions):
    """Inducers, LoRA on the query, and an adapter parallel to the FFN."""

    adapter: AdapterOptions

    shipped_as: ClassVar[str] = "inducer_ffn"
    title: ClassVar[str] = "Inducer + FFN adapter"
    ranks: ClassVar[tuple[Rank, ...]] = (*InducerLoraOptions.ranks, _ADAPTER)

    def parameters(self, s: Sizes) -> int:
        """The sum of those of its parts."""
        return super().parameters(s) + self.adapter.parameters(s)


@options
class KernelMixOptions(MethodOptions):
    """Kernel-mix: low-rank changes per head and shared."""

    q: PositiveInt  # per head, on Q
    q_shared: PositiveInt  # over the heads, on Q
    v_o: PositiveInt  # per head, on V and O
    v_o_shared: PositiveInt  # over the heads, on V and O

    shipped_as: ClassVar[str] = "kernel_mix"
    title: ClassVar[str] = "Kernel mix"
    in_attention: ClassVar[bool] = True
    ranks: ClassVar[tuple[Rank, ...]] = (
        Rank(("q",), within="head_width"),
        Rank(("q_shared",), within="width"),
        Rank(("v_o",), within="head_width"),
        Rank(("v_o_shared",), within="width"),
    )

    def parameters(self, s: Sizes) -> int:
        """The changes of Q, V and W_O, per head and shared."""
        H, G, p, d = s.heads, s.key_heads, s.head_width, s.width
        query = H * (d * self.q + self.q * p + p) + self.q_shared * (d + H * p)
        value = G * (2 * p * self.v_o + p) + self.v_o_shared * (d + G * p)
        output = H * p * self.v_o + H * self.v_o * d + d + self.v_o_shared * (H * p + d)
        return s.layers * (query + value + output)


@options
class PeftOptions(MethodOptions):
    """A method of the installed `peft` library that it injects into the model, for comparisons."""

    peft_type: str  # for instance IA3, LORA, VERA
    config: dict[str, Any] = dataclasses.field(default_factory=dict)  # arguments of peft's own config class

    shipped_as: ClassVar[str] = "peft"
    title: ClassVar[str] = "peft"


SHIPPED: tuple[type[MethodOptions], ...] = (
    FineTuneOptions,
    HeadOnlyOptions,
    BitFitOptions,
    PrefixOptions,
    AdapterOptions,
    LoraOptions,
    MamOptions,
    KernelMixOptions,
    InducerOptions,
    InducerLoraOptions,
    InducerFfnOptions,
    PeftOptions,
)
METHODS = {kind.shipped_as: kind for kind in SHIPPED}


def options_class(name: str, key: str = "method.name") -> type[MethodOptions]:
    """The options class of a method: one of this package, or that of the module with this dotted name.

    Args:
        name: such as `lora` or `my_package.my_module`.
        key: the key that holds the name, for messages.

    Raises:
        UserError: there is no such method or module, or the module defines no options of its own.
    """
    if "." not in name:
        if name not in METHODS:
            raise unknown_name(key, name, METHODS)
        return METHODS[name]
    found = user_module(key, name, "Options", "attach").Options
    if not (isinstance(found, type) and issubclass(found, MethodOptions)):
        raise UserError(f"{key}: '{name}.Options' is not a class of options; it must inherit from MethodOptions")
    if found.method_name() != name:
        raise UserError(f"{key}: '{name}.Options' belongs to '{found.method_name()}'; use that name")
    return found


def method_title(name: str) -> str:
    """The name of a method for people: the `title` of its options, else the last part of its name.

    Args:
        name: as in records; the module of a method from outside may be gone.
    """
    try:
        title = options_class(name).title
    except UserError:
        title = ""
    return title or name.rpartition(".")[2].replace("_", " ").capitalize()
