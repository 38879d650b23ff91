"""Which methods go on which architectures, without torch."""

from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Layout, layout_of
from inducer_bench.methods.options import METHODS, MethodOptions


def check_attachable(options: MethodOptions, architecture: dict[str, Any], layout: Layout | None = None) -> None:
    """Check that an architecture lets the method where it works.

    Args:
        options: of the method.
        architecture: the values of the transformers config.
        layout: for an architecture without a row in `LAYOUTS`.

    Raises:
        UserError: it works inside attention, which the architecture computes in its own way.
    """
    layout = layout or layout_of(architecture.get("model_type"))
    if options.in_attention and layout is not None and layout.own_attention:
        allowed = ", ".join(name for name, kind in METHODS.items() if not kind.in_attention)
        raise UserError(
            f"method: '{options.name}' works inside attention, and {architecture.get('model_type')} computes its own, "
            f"not through transformers' attention interface; allowed on this PLM: {allowed}"
        )
