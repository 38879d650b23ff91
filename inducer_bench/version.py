"""The version of the package, and of what it computes.

`__version__` names a release. `ALGORITHM` is part of every run's identity: it changes when a change of the code changes
the numbers that an unchanged configuration leads to, and only then, so that a release makes no finished run run again.
"""

__version__ = "0.2.0"
ALGORITHM = 1
