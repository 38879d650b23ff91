"""One run: identity, lock, failures and exit codes, experiment, record; finished runs opened again.

Called as a function, `ib.runs(folder="runs")`, a pandas table with one row for each recorded run below a folder: task,
model, method, seed, status, scores, the keys of the configuration in which the runs differ, parameters, seconds, date
and folder. `help(ib.api.frames.runs)` describes its columns.
"""

from inducer_bench.callable_module import make_callable

make_callable(__name__, "inducer_bench.api.frames", "runs")
