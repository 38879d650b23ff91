"""`inducer-bench completion bash|zsh|fish`: completion in the shell, of commands, options, groups, choices and keys.

The script that it prints calls `inducer-bench` with the line so far in the environment, as argcomplete does.
"""

import argparse
import os

from inducer_bench.cli import commands
from inducer_bench.cli.parser import Parser, completed

HELP = "print the script that completes commands, options, choices and keys in bash, zsh or fish"
_INSTALL = """\
Completes commands, options, groups and their choices (task=<TAB>), keys (trainer.l<TAB>) and files.

  bash: echo 'eval "$(inducer-bench completion bash)"' >> ~/.bashrc
  zsh:  echo 'autoload -U compinit; compinit; eval "$(inducer-bench completion zsh)"' >> ~/.zshrc
  fish: inducer-bench completion fish > ~/.config/fish/completions/inducer-bench.fish"""


def arguments(parser: Parser) -> None:
    """The shell."""
    parser.description = _INSTALL
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def main(args: argparse.Namespace) -> int:
    """Print the script; returns the exit code."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["inducer-bench"], shell=args.shell, complete_arguments=["-o", "nospace"]))
    return 0


def complete() -> None:
    """Print what the word under the cursor may become, and end the process."""
    import argcomplete
    from argcomplete.completers import SuppressCompleter
    from argcomplete.lexers import split_line

    from inducer_bench.cli.completion_words import paths

    words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    start = int(os.environ["_ARGCOMPLETE"])  # words that start the program, such as 3 of `python -m inducer_bench`
    name = next((word for word in words[start : start + 1] if word in commands.NAMES), None)
    parser = commands.parser(name or commands.RUN)
    for action in parser._actions:
        if action.metavar in ("DIR", "FILE", "RUN"):
            completed(action, paths)
    if name:
        os.environ["_ARGCOMPLETE"] = str(start + 1)
    argcomplete.autocomplete(
        parser, always_complete_options="long" if name else False, default_completer=SuppressCompleter()
    )
