"""`inducer-bench tables [--runs DIR] [--out DIR] [--wandb PROJECT]`: make every table and figure from records."""

import sys
from collections.abc import Iterable
from pathlib import Path

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.files import write_atomic

MANIFEST = ".written"  # in the output folder: the files that the last call wrote, one path per line


def main(arguments: list[str]) -> int:
    """Write Markdown, CSV, LaTeX, figures and an HTML page; damaged records are named and make the exit code 1."""
    parser = Parser(prog="inducer-bench tables", description="Make every table and figure from records.")
    parser.add_argument("--runs", default="runs", metavar="DIR", help="the folder of the runs (default: runs)")
    parser.add_argument("--out", default="tables", metavar="DIR", help="the folder to write (default: tables)")
    parser.add_argument("--wandb", metavar="PROJECT", help="also log the files as an artifact of that project")
    parser.add_config_dir()
    args = parser.parse_args(arguments)
    if not Path(args.runs).is_dir():
        raise UserError(f"--runs: found '{args.runs}', which is not a folder; allowed: the output_dir of runs")

    from inducer_bench.report import figures, reference, render, store, tables

    found = store.load(Path(args.runs))
    for line in found.damaged:
        print(f"damaged, left out: {line}", file=sys.stderr)
    built = tables.build(found, reference.sources(), args.runs, args.config_dir)
    pictures = {table.path: figures.draw(table) for table in built}

    files = {"index.html": render.html(built, pictures).encode()}
    for table in built:
        files[f"{table.path}.md"] = render.markdown(table).encode()
        files[f"{table.path}.csv"] = render.csv_text([table]).encode()
        files[f"{table.path}.tex"] = render.latex(table).encode()
        for picture in pictures[table.path]:
            files[f"{table.path}.{picture.name}.svg"] = picture.svg
            files[f"{table.path}.{picture.name}.png"] = picture.png
    out = Path(args.out)
    try:
        _write(out, files)
    except OSError as error:
        raise UserError(f"--out: '{args.out}' cannot be written ({error.strerror})") from None
    if args.wandb:
        from inducer_bench.training.wandb_mirror import log_tables

        log_tables(args.wandb, out, sorted(files))
    runs = sum(len(group.done) for group in found.groups)
    print(f"{len(built)} tables of {runs} finished runs: {out / 'index.html'}")
    return ExitCode.FAILED if found.damaged else ExitCode.DONE


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write files, by their paths below `out`, and remove those that an earlier call wrote and this one does not."""
    manifest = out / MANIFEST
    earlier = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    out.mkdir(parents=True, exist_ok=True)
    # Written first, so that a killed call leaves no file that the next one does not know of.
    write_atomic(manifest, _lines({*earlier, *files}))
    for path, content in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out / path, content)
    for path in {*earlier} - {*files}:
        if (out / path).resolve().is_relative_to(out.resolve()):  # even if the manifest was edited
            (out / path).unlink(missing_ok=True)
    write_atomic(manifest, _lines(files))


def _lines(paths: Iterable[str]) -> bytes:
    return "".join(f"{path}\n" for path in sorted(paths)).encode()
