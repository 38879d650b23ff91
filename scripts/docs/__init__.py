"""Pages of the documentation that are made from the package, and the checks of those that are written by hand."""
