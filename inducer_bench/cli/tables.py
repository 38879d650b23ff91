"""`inducer-bench tables`: make every table and figure from records."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from inducer_bench.cli.parser import Parser, runs_folder
from inducer_bench.errors import ExitCode, UserError, printable, shown
from inducer_bench.files import read_bytes, write_atomic

HELP = "every table and figure from records: Markdown, CSV, LaTeX, figures, one HTML page"
PAGE = "index.html"
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

    from inducer_bench.report import across, reference, store, studies, tables, tuned

    found = store.load(runs)
    known, odd = studies.load(runs, found)
    left_out = list(dict.fromkeys([*found.left_out, *odd]))
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    tuned_tables = [tuned.table(study) for study in known]
    of_study = {table.path: study for table, study in zip(tuned_tables, known, strict=True)}
    built = [*across.tables(known), *tuned_tables]
    built += tables.build(found, reference.sources(), args.runs, args.config_dir, known, args.layout, args.missing)
    built.sort(key=lambda table: table.scope.suite == "mini")
    out = Path(args.out)

    def parts() -> Iterator[dict[str, bytes]]:
        """Tables, then figures, then the page: what fails later leaves what was made before."""
        from inducer_bench.report import figures, images, looks, page, render, tuned_figures

        yield {f"{table.path}.md": render.markdown(table).encode() for table in built}
        yield {f"{table.path}.csv": render.csv_text([table]).encode() for table in built}
        yield {f"{table.path}.tex": render.latex(table).encode() for table in built}
        look = looks.looks([*(row.method for table in built for row in table.rows),
                            *(method.search.method for study in known for method in study.methods)])  # fmt: skip
        pictures = {table.path: figures.draw(table, look) for table in built}
        for path, study in of_study.items():
            pictures[path] += tuned_figures.draw(study, look)
        drawn = {f"{path}.{picture.name}": picture.spec for path, own in pictures.items() for picture in own}
        vega = ""
        try:
            both = images.convert([*drawn.values()])
            vega = images.vega()
            yield {f"{name}.svg": svg for name, (svg, _) in zip(drawn, both, strict=True)}
            yield {f"{name}.png": png for name, (_, png) in zip(drawn, both, strict=True)}
        except UserError as error:
            left_out.append(str(error))
            print(f"left out: {error}", file=sys.stderr)
        whole = page.html(built, pictures if vega else {}, found, vega=vega, studies=known, left_out=left_out,
                          root=args.runs, out=out, config_dir=args.config_dir)  # fmt: skip
        yield {PAGE: whole.encode()}

    try:
        written = _write(out, parts())
    except OSError as error:
        reason = shown(error.strerror)
        raise UserError(f"--out: '{args.out}' cannot be written ({reason}); give another folder") from None
    if args.wandb:
        from inducer_bench.training.wandb_mirror import log_tables

        log_tables(args.wandb, out, sorted(written))
    finished = sum(len(group.done) for group in found.groups)
    print(f"{len(built)} tables of {finished} finished runs: {printable(str(out / PAGE))}")
    return ExitCode.FAILED if left_out else ExitCode.DONE


def _write(out: Path, parts: Iterable[dict[str, bytes]]) -> list[str]:
    """Write files, part by part, and remove those that an earlier call wrote and this one does not; the paths written.

    Args:
        out: the folder.
        parts: each path below `out` -> content.
    """
    manifest = out / MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(manifest)
    written: list[str] = []
    for files in parts:
        written += files
        # Written first, so that a killed call leaves no file that the next one does not know of.
        write_atomic(manifest, _lines({*earlier, *written}))
        for path, content in files.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(out / path, content)
    for path in {*earlier} - {*written}:
        # Even if the manifest was edited, nothing else is deleted.
        if os.path.isfile(out / path) and (out / path).resolve().is_relative_to(out.resolve()):
            (out / path).unlink()
    write_atomic(manifest, _lines(written))
    return written


def _earlier(manifest: Path) -> list[str]:
    try:
        return read_bytes(manifest).decode().splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise UserError(f"--out: '{manifest}' is damaged, which lists what is there; delete it") from None


def _lines(paths: Iterable[str]) -> bytes:
    return "".join(f"{path}\n" for path in sorted(paths)).encode()
