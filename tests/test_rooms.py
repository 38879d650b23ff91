"""Imports between the rooms of the package go one way, and no modules import each other in a circle.

A room is a folder of the package. The modules at its top level are one room, the basics; `__init__.py` and
`__main__.py` are the face, which nothing may import. Imports inside functions and under TYPE_CHECKING count as well;
those by `import_module` with a name that is only known at run time cannot be seen here.

    python tests/test_rooms.py [FOLDER]    # the counts of this package, or of one in another folder
"""

import ast
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "inducer_bench"
# From the roof to the ground: a room may import only from the floors below its own.
FLOORS = (
    ("face",), ("cli", "api"), ("report",), ("search",), ("runs",), ("config",), ("training",), ("tasks",), ("plm",),
    ("methods",), ("metrics", "mini"), ("basics",),
)  # fmt: skip
BASICS = (
    "callable_module", "distributed", "errors", "escape", "files", "hub", "locks", "notices", "options", "strict_json",
    "version",
)  # fmt: skip
HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}

Graph = dict[str, set[str]]  # node -> the nodes that it imports from


class Import(NamedTuple):
    """One module's import of another one."""

    file: Path
    line: int
    importer: str  # dotted module names
    imported: str


def modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file of every module; a folder's name stands for its `__init__.py`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> list[Import]:
    """Every import of one module of the package by another, in the order of the files."""
    names = modules(package)
    found = []
    for importer, path in names.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: relative import; write the full name"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                imported = [name if name in names else str(node.module) for name in whole]
            found += [Import(path, node.lineno, importer, name) for name in imported if name in names]
    return sorted(set(found))


def room_of(module: str) -> str:
    """The room of a module. One at the top level that is none of the basics is a room of its own."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return "face"
    return "basics" if parts[1] in BASICS else parts[1]


def between_rooms(found: Iterable[Import]) -> Graph:
    """The arrows between rooms, each counted once."""
    graph: Graph = {}
    for each in found:
        importer, imported = room_of(each.importer), room_of(each.imported)
        graph.setdefault(importer, set())
        graph.setdefault(imported, set())
        if importer != imported:
            graph[importer].add(imported)
    return graph


def wrong_arrows(found: Iterable[Import]) -> list[str]:
    """One line for every import against the order of the floors."""
    lines = []
    for each in found:
        importer, imported = room_of(each.importer), room_of(each.imported)
        if importer != imported and HEIGHT[importer] <= HEIGHT[imported]:
            lines.append(f"{each.file}:{each.line}: {importer} -> {imported} ({each.imported}) goes the wrong way")
    return lines


def circle(found: Iterable[Import]) -> list[str]:
    """The modules of one circle of imports, if there is any."""
    graph: Graph = {}
    for each in found:
        graph.setdefault(each.importer, set()).add(each.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])[::-1]
    return []


def reachable(graph: Graph, start: str) -> set[str]:
    """All nodes on paths from `start`; itself only if it is on a circle."""
    seen: set[str] = set()
    waiting = set(graph[start])
    while waiting:
        node = waiting.pop()
        seen.add(node)
        waiting |= graph[node] - seen
    return seen


def counts(package: Path) -> dict[str, int]:
    """The measures of a package: its rooms, the arrows between them, and how they are stacked."""
    found = imports(package)
    graph = between_rooms(each for each in found if room_of(each.imported) != "face")  # loaded before all others anyway
    below = {room: reachable(graph, room) for room in graph}
    # Rooms on a common circle share a floor.
    floor: dict[str, int] = {}
    for room in sorted(graph, key=lambda room: len(below[room] | {room})):
        lower = [floor[other] for other in below[room] if room not in below[other]]
        floor[room] = 1 + max(lower, default=0)
    return {
        "modules": len(modules(package)),
        "rooms": len(graph),
        "floors": max(floor.values()),
        "arrows between rooms": sum(map(len, graph.values())),
        "arrows on circles": sum(room in below[other] for room, others in graph.items() for other in others),
        "imports against the order": len(wrong_arrows(found)) if graph.keys() <= HEIGHT.keys() else -1,
    }


def test_every_room_has_a_floor():
    assert set(between_rooms(imports(PACKAGE))) == set(HEIGHT)


def test_imports_between_rooms_go_down():
    wrong = wrong_arrows(imports(PACKAGE))
    assert not wrong, "\n".join(["", *wrong])


def test_no_modules_import_each_other_in_a_circle():
    found = circle(imports(PACKAGE))
    assert not found, " -> ".join(found)


def test_tests_do_not_import_each_other():
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) else ""
            assert "test_" not in str(name), f"{path}:{node.lineno}: {name}; move what is shared to tests/helpers"


def test_arrow_that_goes_the_wrong_way_is_named_wherever_it_hides(tmp_path):
    package = tmp_path / "house"
    for name, text in {
        "__init__.py": "",
        "errors.py": "import os\n",
        "mini/suite.py": "from house.metrics import score\n",  # its neighbour
        "metrics/score.py": "from house import errors\n",
        "plm/load.py": "def load():\n    from house.tasks.base import Task\n",
        "tasks/base.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.runs.run\n",
        "tasks/cache.py": "from house.errors import x\nfrom house import y\n",
        "runs/run.py": "from house.plm import load\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    found = imports(package)
    assert [line.removeprefix(f"{package}/").removesuffix(" goes the wrong way") for line in wrong_arrows(found)] == [
        "mini/suite.py:1: mini -> metrics (house.metrics.score)",
        "plm/load.py:2: plm -> tasks (house.tasks.base)",
        "tasks/base.py:3: tasks -> runs (house.runs.run)",
        "tasks/cache.py:2: tasks -> face (house)",
    ]
    ring = circle(found)
    assert ring[0] == ring[-1]
    assert set(ring) == {"house.plm.load", "house.tasks.base", "house.runs.run"}
    assert counts(package) == {
        "modules": 8, "rooms": 6, "floors": 3, "arrows between rooms": 6, "arrows on circles": 3,
        "imports against the order": 4,
    }  # fmt: skip


if __name__ == "__main__":
    for label, number in counts(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE).items():
        print(f"{number:5}  {label}" if number >= 0 else f"    -  {label} (it names none of these rooms)")
