"""`inducer-bench tables`: make every table and figure from records."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from inducer_bench.cli.parser import Parser, runs_folder
from inducer_bench.errors import ExitCode, UserError, printable, shown
from inducer_bench.files import read_bytes, write_atomic

HELP = "every table and figure from records: Markdown, CSV, LaTeX, figures, one HTML page"
MANIFEST = ".written"  # in the output folder: the files that the last call wrote, one path per line


def arguments(parser: Parser) -> None:
    """Where runs are, and where the tables go."""
    parser.add_runs()
    parser.add_argument("--out", default="tables", metavar="DIR", help="the folder to write (default: tables)")
    parser.add_argument(
        "--layout", action="append", default=[], type=Path, metavar="FILE",
        help="a table of your own: a YAML file with its runs, rows and columns; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true", help="also show what nobody ran of the shipped tables, and how to run it"
    )
    parser.add_argument("--wandb", metavar="PROJECT", help="also log the files as an artifact of that project")
    parser.add_config_dir()


def main(args: argparse.Namespace) -> int:
    """Write Markdown, CSV, LaTeX, figures and an HTML page; records left out are named and make the exit code 1."""
    runs = runs_folder(args.runs)
    for path in args.layout:
        if not path.is_file():
            raise UserError(f"--layout: found '{path}', which is not a file; allowed: a YAML file with a layout")

    from inducer_bench.report import (
        across,
        figures,
        images,
        looks,
        reference,
        render,
        store,
        studies,
                tables,
        tuned,
        tuned_figures,
    )  # fmt: skip

    found = store.load(runs)
    known, odd = studies.load(runs, found)
    left_out = list(dict.fromkeys([*found.left_out, *odd]))
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    built = [*across.tables(known), *(of_study := {study.id: tuned.table(study) for study in known}).values()]
    built += tables.build(found, reference.sources(), args.runs, args.config_dir, known, args.layout, args.missing)
    look = looks.looks([*(row.method for table in built for row in table.rows),
                        *(method.search.method for study in known for method in study.methods)])  # fmt: skip
    pictures: dict[str, list[figures.Picture]] = {table.path: figures.draw(table, look) for table in built}
    for study in known:
        pictures[of_study[study.id].path] += tuned_figures.draw(study, look)
    built.sort(key=lambda table: table.scope.suite == "mini")

    files: dict[str, bytes] = {}
    for table in built:
        files[f"{table.path}.md"] = render.markdown(table).encode()
        files[f"{table.path}.csv"] = render.csv_text([table]).encode()
        files[f"{table.path}.tex"] = render.latex(table).encode()
    drawn = [(f"{path}.{picture.name}", picture.spec) for path, own in pictures.items() for picture in own]
    try:
        for (name, _), (svg, png) in zip(drawn, images.convert([spec for _, spec in drawn]), strict=True):
            files |= {f"{name}.svg": svg, f"{name}.png": png}
    except UserError as error:
        pictures = {}
        left_out.append(str(error))
        print(f"left out: {error}", file=sys.stderr)
    files["index.html"] = render.html(built, pictures).encode()
    out = Path(args.out)
    try:
        _write(out, files)
    except OSError as error:
        reason = shown(error.strerror)
        raise UserError(f"--out: '{args.out}' cannot be written ({reason}); give another folder") from None
    if args.wandb:
        from inducer_bench.training.wandb_mirror import log_tables

        log_tables(args.wandb, out, sorted(files))
    finished = sum(len(group.done) for group in found.groups)
    print(f"{len(built)} tables of {finished} finished runs: {printable(str(out / 'index.html'))}")
    return ExitCode.FAILED if left_out else ExitCode.DONE


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write files, by their paths below `out`, and remove those that an earlier call wrote and this one does not."""
    manifest = out / MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(manifest)
    # Written first, so that a killed call leaves no file that the next one does not know of.
    write_atomic(manifest, _lines({*earlier, *files}))
    for path, content in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out / path, content)
    for path in {*earlier} - {*files}:
        # Even if the manifest was edited, nothing else is deleted.
        if os.path.isfile(out / path) and (out / path).resolve().is_relative_to(out.resolve()):
            (out / path).unlink()
    write_atomic(manifest, _lines(files))


def _earlier(manifest: Path) -> list[str]:
    try:
        return read_bytes(manifest).decode().splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise UserError(f"--out: '{manifest}' is damaged, which lists what is there; delete it") from None


def _lines(paths: Iterable[str]) -> bytes:
    return "".join(f"{path}\n" for path in sorted(paths)).encode()
