"""The command line: one module for each command, with `HELP`, `arguments(parser)`
and `main(args) -> exit code`; see `commands.py`.
"""
