"""Vega-Lite specifications as SVG and PNG, in this process or in others.

The converter runs JavaScript and reserves much address space; where that is limited (`ulimit -v`), it ends its process.
"""

import multiprocessing
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from inducer_bench.errors import UserError

Spec = dict[str, Any]
T = TypeVar("T")
_ID = re.compile(r'\bid="([^"]+)"')
_NAMED = re.compile(r'(\bid="|url\(#)([^")]+)')
_A_PROCESS = 10  # pictures that are worth a process of their own


def svg(spec: Spec) -> bytes:
    """As SVG, without date or name of a program."""
    from vl_convert import vegalite_to_svg

    # Without zoom, which clips every mark: that takes most of the time of a PNG.
    still = {**spec, "params": [one for one in spec.get("params", ()) if one.get("bind") != "scales"]}
    drawn: str = vegalite_to_svg(still, allowed_base_urls=[])
    # The converter numbers over everything that it has drawn.
    numbers = {name: f"clip{number}" for number, name in enumerate(dict.fromkeys(_ID.findall(drawn)))}
    return _NAMED.sub(lambda found: f"{found[1]}{numbers.get(found[2], found[2])}", drawn).encode()


def png(drawn: bytes) -> bytes:
    """An SVG as PNG, with two pixels for each of it."""
    from vl_convert import svg_to_png

    return bytes(svg_to_png(drawn.decode(), scale=2))


def convert(specs: Sequence[Spec]) -> list[tuple[bytes, bytes]]:
    """SVG and PNG of each, made by other processes: if they end, this one goes on.

    Raises:
        UserError: they ended.
    """
    return _elsewhere(_both, specs)


def vega() -> str:
    """The script that draws specifications in a page, as the function `vegaEmbed`; made by another process.

    Raises:
        UserError: it ended.
    """
    return _elsewhere(_bundle, [""])[0]


def _elsewhere(function: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    if not items:
        return []
    workers = min(os.cpu_count() or 1, 1 + len(items) // _A_PROCESS)
    try:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
            return list(pool.map(function, items))
    except BrokenProcessPool:
        raise UserError("figures: the converter ended; is memory or address space (ulimit -v) limited?") from None


def _quiet() -> None:
    """Without the stack traces of a process that ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _both(spec: Spec) -> tuple[bytes, bytes]:
    drawn = svg(spec)
    return drawn, png(drawn)


def _bundle(_: str) -> str:
    from vl_convert import javascript_bundle

    return f"(() => {{{javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"
