"""`python -m inducer_bench`: for launchers of several processes, which start a module."""

from inducer_bench.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
