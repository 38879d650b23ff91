"""The version of the package and of its computations.

`__version__` names a release. It says nothing about the numbers, and is not part of a run's identity: a finished run
stays finished after an upgrade.

`ALGORITHM` is part of every run's identity (`runs/identity.py`). Increase it by one in each commit after which an
unchanged configuration, on the same data and PLM files, leads to other numbers: a corrected method or metric, another
order of batches, another initialisation. Rounding is no reason; nor are speed, messages, the schema of records, or a
new method, task or option that leaves existing configurations as they were. After an increase every finished run runs
again, and tables that mix two algorithms say so in footnotes. Each increase has an entry in the changelog.

The configuration is part of the identity, too: a new key changes the hash of every run that has it, unless the key is
listed as neutral in `runs/identity.py`.
"""

__version__ = "0.2.0"
ALGORITHM = 1
