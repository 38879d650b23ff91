"""METEOR against the same program's own file mode, and what happens where Java is absent, fails or hangs."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time

import pytest

from inducer_bench.metrics import meteor as module
from inducer_bench.metrics.meteor import meteor
from inducer_bench.metrics.score import Score

needs_meteor = pytest.mark.skipif(
    shutil.which("java") is None or module._jar() is None,
    reason="METEOR itself runs only with Java and `pip install 'inducer-bench[meteor]'`",
)

_HYPOTHESES = [
    "Istanbul is a city in Turkey.",
    "Alan Bean was born in Wheeler, Texas and walked on the moon",
    "",
    "Zürich's café serves naïve \u2028 東京 🙂 people",
    "the the the the the the",
    "The airport ||| lies 1.5 metres\nabove the sea || level |",
]
_REFERENCES = [
    ["ISTANBUL IS IN TURKEY.", "Istanbul, a Turkish city."],
    [
        "Alan Bean, who was born in Wheeler (Texas), walked upon the Moon.",
        "Born in Texas, Bean went to the moon.",
        "Bean",
    ],
    ["Nothing was said here."],
    ["The café in Zürich serves naive people in 東京 🙂.", "Zürich has a café."],
    ["the cat"],
    ["The airport is 1.5 metres above sea level.", "| is a separator || here"],
]
_FILE_MODE = 0.3521258467920809  # by the program's other mode, which reads files; a slow test computes it again


@pytest.fixture
def java_that(tmp_path, monkeypatch):
    """Puts a program of that source on PATH under the name of Java; METEOR's own program is not needed."""

    def install(source):
        java = tmp_path / "java"
        java.write_text(source, encoding="utf-8")
        java.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(module, "_jar", lambda: tmp_path / "meteor.jar")

    return install


@needs_meteor
def test_score_is_the_stored_one_whatever_the_locale(monkeypatch):
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=tr -Duser.country=TR -Dfile.encoding=ISO-8859-1")
    [score] = meteor(_HYPOTHESES, _REFERENCES, [range(6)])
    assert score.value == pytest.approx(100 * _FILE_MODE, abs=1e-10)


@needs_meteor
def test_scores_of_parts_are_those_of_each_part_by_itself():
    parts = [range(6), [0, 1, 4], [5, 3, 2], [1]]
    alone = [
        meteor([_HYPOTHESES[i] for i in part], [_REFERENCES[i] for i in part], [range(len(part))])[0] for part in parts
    ]
    assert meteor(_HYPOTHESES, _REFERENCES, parts) == alone
    assert len({score.value for score in alone}) == 4


@pytest.mark.slow
@needs_meteor
def test_stored_score_and_signature_are_those_of_the_programs_file_mode(tmp_path):
    """File mode wants as many references for each entry: the last one again, which changes no best reference."""
    lines = [" ".join(text.replace("|||", " ").split()) for text in _HYPOTHESES]
    most = max(map(len, _REFERENCES))
    filled_up = [[*texts, *[texts[-1]] * (most - len(texts))] for texts in _REFERENCES]
    (tmp_path / "hypotheses").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "references").write_text("".join(f"{text}\n" for texts in filled_up for text in texts), "utf-8")
    options = [tmp_path / "hypotheses", tmp_path / "references", "-l", "en", "-norm", "-r", str(most)]
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", module._jar(), *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    assert float(output.split("Final score:")[1]) == pytest.approx(_FILE_MODE, abs=1e-12)
    assert module._SIGNATURE.endswith("|" + output.split("Eval ID:")[1].split()[0])


def test_program_is_asked_one_line_per_entry_and_then_for_the_score_of_each_part(java_that, tmp_path):
    java_that(f"""#!{sys.executable}
import sys
log = open({str(tmp_path / "log")!r}, "w", encoding="utf-8")
sys.stdin.reconfigure(encoding="utf-8", newline="\\n")
print(sys.argv[1:], file=log)
for line in sys.stdin:
    log.write(line)
    log.flush()
    if line.startswith("SCORE"):
        print(line.count("|||"), 0.5, flush=True)
    else:
        print(*[0.1] * line.count("|||"), line.count("|||") / 8, sep="\\n", flush=True)
""")
    parts = [[0, 1, 2], [2, 0]]
    scores = meteor(["a |||b\r\n c", "", "\ud800 é"], [["x\ny"], ["x", "|||"], ["ü", "", "z"]], parts)
    assert scores == [Score(value=value, signature=module._SIGNATURE) for value in (37.5, 25.0)]
    arguments, *lines = (tmp_path / "log").read_text(encoding="utf-8").split("\n")
    assert lines == [
        "SCORE ||| x y ||| a b c",
        "SCORE ||| x |||  ||| ",
        "SCORE ||| ü |||  ||| z ||| ? é",
        "EVAL ||| 2 0.5 ||| 3 0.5 ||| 4 0.5",
        "EVAL ||| 4 0.5 ||| 2 0.5",
        "",
    ]
    assert "'-l', 'en', '-norm'" in arguments


def _reason(hypotheses, references, **options):
    """Why there is no score, the same for each of two parts."""
    one, other = meteor(hypotheses, references, [range(len(hypotheses)), [0]], **options)
    assert one == other
    assert one.value is None
    assert one.signature == module._SIGNATURE
    return one.reason


def test_without_java_the_reason_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_jar", lambda: tmp_path / "meteor.jar")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _reason(["a"], [["a"]]) == "not computed: no Java found on PATH"


def test_without_the_extra_the_reason_says_how_to_get_it(monkeypatch):
    def not_there(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", not_there)
    reason = _reason(["a"], [["a"]])
    assert reason == "not computed: no pycocoevalcap found: pip install 'inducer-bench[meteor]'"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "#!/bin/sh\necho 'Picked up options' >&2\necho 'Error: Unable to access jarfile' >&2\nexit 1\n",
            "Error: Unable to access jarfile",
            id="does not start",
        ),
        pytest.param(
            "#!/bin/sh\nread line\necho 1.0\nread line\necho 'OutOfMemoryError: Java heap space' >&2\nexit 1\n",
            "OutOfMemoryError: Java heap space",
            id="ends halfway",
        ),
        pytest.param(
            "#!/bin/sh\nwhile read line; do echo nonsense; done\n",
            "could not convert string to float: 'nonsense\\n'",
            id="answers nonsense",
        ),
        pytest.param("#!/bin/sh\necho 'No runtime present' >&2\nexit 1\n", "No runtime present", id="only a stub"),
        pytest.param("not a program", "[Errno 8] Exec format error: '{java}'", id="cannot be executed"),
    ],
)
def test_failing_java_is_told_in_one_line(java_that, source, expected):
    java_that(source)
    expected = expected.format(java=shutil.which("java"))
    assert _reason(["a"] * 1000, [["a"]] * 1000) == f"not computed: METEOR failed: {expected}"


def test_hanging_java_is_ended_after_the_time_out_with_its_children(java_that, tmp_path):
    os.mkfifo(tmp_path / "alive")  # at its end once nobody has it open for writing any more
    java_that(f"#!/bin/sh\nexec 9> {tmp_path}/alive\necho started >&9\nsleep 60 &\nwait\n")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    started = time.monotonic()
    assert _reason(["a"], [["a"]], timeout=2) == "not computed: METEOR took more than 2 s"
    assert time.monotonic() - started < 30
    os.set_blocking(alive, True)
    with open(alive) as pipe:
        assert pipe.read() == "started\n"
    assert time.monotonic() - started < 30


def test_finished_java_does_not_stay(java_that, tmp_path):
    java_that(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nread a\necho 1\nread b\necho 0.5\necho 0.5\nsleep 60\n")
    started = time.monotonic()
    assert meteor(["a"], [["a"]], [[0]])[0].value == 50.0
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
