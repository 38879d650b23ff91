"""Sub-commands: one module each, with `main(arguments) -> exit code`."""
