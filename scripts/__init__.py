"""Programs around the package, run from the root of the repository as `python -m scripts.<folder>.<name>`."""
