"""METEOR 1.5 (Denkowski and Lavie 2014, https://aclanthology.org/W14-3348): the authors' Java program.

The optional package pycocoevalcap ships it.
The program answers line by line: `SCORE ||| reference ||| ... ||| hypothesis` with the statistics of an entry against
its best reference, `EVAL ||| statistics ||| ...` with one score per entry and then that of their sums, the corpus
score. An entry may have any number of references.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO

from inducer_bench.errors import first_line
from inducer_bench.metrics.score import Score, not_computed

# The second part is the program's own name for version, language, normalisation, parameters, modules and weights.
_SIGNATURE = "METEOR|percent|best reference|meteor-1.5-wo-en-norm-0.85_0.2_0.6_0.75-ex_st_sy_pa-1.0_0.6_0.8_0.6"
# English and UTF-8 whatever the machine's locale: the program fails in a Turkish one, for example.
_JAVA_OPTIONS = ("-Xmx2G", "-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US")
_METEOR_OPTIONS = ("-", "-", "-stdio", "-l", "en", "-norm")


def meteor(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    parts: Sequence[Sequence[int]],
    timeout: float = 3600.0,
) -> list[Score]:
    """METEOR of each part of the corpus in percent, or the reason why it was not computed.

    The program is given 2 GiB of memory. Texts that repeat one word some thousand times need more: then it fails, and
    there is no score.

    Args:
        references: at least one for each hypothesis.
        parts: the numbers of the entries of each part.
        timeout: in seconds, for all entries and parts.
    """
    java, jar = shutil.which("java"), _jar()
    if jar is None:
        return _none(parts, "no pycocoevalcap found: pip install 'inducer-bench[meteor]'")
    if java is None:
        return _none(parts, "no Java found on PATH")
    command = [java, *_JAVA_OPTIONS, "-jar", str(jar), *_METEOR_OPTIONS]
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        try:
            values = _corpus_scores(command, hypotheses, references, parts, timeout, complaints)
        except (OSError, ValueError) as error:  # it has ended, so a pipe is closed or an answer is not a number
            if time.monotonic() >= deadline:
                return _none(parts, f"METEOR took more than {timeout:g} s")
            return _none(parts, f"METEOR failed: {_complaint(complaints) or first_line(error)}")
    return [Score(value=100.0 * value, signature=_SIGNATURE) for value in values]


def _none(parts: Sequence[Sequence[int]], why: str) -> list[Score]:
    return [not_computed(_SIGNATURE, why) for _ in parts]


def _jar() -> Path | None:
    """METEOR's program in the installed package pycocoevalcap, which is not imported."""
    try:
        package = metadata.distribution("pycocoevalcap")
    except metadata.PackageNotFoundError:
        return None
    return Path(str(package.locate_file("pycocoevalcap/meteor/meteor-1.5.jar")))


def _corpus_scores(
    command: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    parts: Sequence[Sequence[int]],
    timeout: float,
    complaints: IO[str],
) -> list[float]:
    """Scores of the parts, in [0, 1]. The program has ended afterwards.

    Raises:
        OSError, ValueError: it ended early.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C in the terminal is for us; the launcher's children are killed with it
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(timeout, _end, [process])
        timer.start()
        try:
            statistics = []
            for hypothesis, texts in zip(hypotheses, references, strict=True):
                _send(process.stdin, ["SCORE", *map(_one_line, texts), _one_line(hypothesis)])
                statistics.append(process.stdout.readline().strip())
            scores = []
            for part in parts:
                _send(process.stdin, ["EVAL", *(statistics[entry] for entry in part)])
                scores.append([float(process.stdout.readline()) for _ in range(len(part) + 1)][-1])
            return scores
        finally:
            timer.cancel()
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):  # it may have ended on its own
        os.killpg(process.pid, signal.SIGKILL)


def _send(stdin: IO[str], fields: Sequence[str]) -> None:
    stdin.write(" ||| ".join(fields) + "\n")
    stdin.flush()


def _one_line(text: str) -> str:
    """The text without line ends and separators, which the protocol reserves."""
    return " ".join(text.replace("|||", " ").split())


def _complaint(complaints: IO[str]) -> str | None:
    """The line that looks like an error message, or else the first one."""
    complaints.seek(0)
    lines = [line.strip() for line in complaints if line.strip()]
    return next((line for line in lines if "rror" in line or "Exception" in line), lines[0] if lines else None)
