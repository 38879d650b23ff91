"""Command lines that Hydra or a sub-command does not take, configurations that contradict themselves, and sweeps."""

from collections.abc import Iterator
from pathlib import Path

from chaos.cases import DONE, EITHER, REFUSED, TINY, TINY_NLG, Case, files

# OPTIONS > OVERRIDES, or overrides alone; a question mark: may be done as well as refused.
_COMMAND_LINES = """\
=1
==
? trainer.lr=
trainer.lr=[
trainer.lr=]
trainer.lr={
trainer.lr='
trainer.lr=a b
? trainer.lr==1
trainer..lr=1
.lr=1
trainer.=1
a b=1
? +trainer.lr=1
++trainer.nope=1
~trainer.lr
? ~nope
trainer.lr=${nope}
trainer.lr=${trainer.lr}
trainer.lr=${oc.env:NOPE}
trainer.lr=${nope:1}
trainer.lr=${
trainer.lr=choice()
trainer.lr=1,2
trainer.lr=range(3)
task=
task=nope
task=[sst2,mnli]
method=nope
plm=nope
trainer=nope
preset=nope
+experiment=nope
experiment=nope
protocol=nope
tracker=nope
task@x=sst2
trainer.betas=[1]
trainer.betas=[0.9,0.9,0.9]
trainer.betas=[a,b]
trainer.betas=0.9
task.report=[]
task.report=[nope]
task.metrics=[]
task.metrics=[nope]
task.metric=nope
task.metrics=[f1,f1]
? task.labels=[a]
task.labels=[a,a]
task.text=[]
task.text=[a,b,c]
method=lora method.targets=[]
method=lora method.targets=[q,q]
method=lora method.targets=[nope]
method=lora method.r=0
method=lora method.r=1000000
method=adapter method.bottleneck=1000000000
method=prefix method.length=1000000000
method.r_k=1000000
method.budget=1
? method.budget=99999999999
method.name=lora
task.kind=webnlg
task.family=nlg
? suite=full
? trainer.epochs=1000000000000000
? trainer.batch_size=1000000000000
seed=-1
? seed=99999999999999999999
seed=abc
? trainer.warmup=2
trainer.warmup=-1
trainer.schedule=nope
trainer.device=nope
trainer.device=cuda
trainer.device=cuda:99
trainer.precision=fp8
trainer.compile=nope
trainer.micro_batch_size=0
? optimized_metric=nope
plm.weights=nope
? plm.layout={}
plm.layout=3
plm.architecture=3
plm.hub=../x
plm.hub='a b'
? plm.revision=''
task.source=nope
? task.data_dir=''
task.source=hub
method=own
method=own method.name=nope.nope
method=own method.name=os.path
task.kind=os.path
task.metrics=[os.path.join]
tracker=wandb tracker.project=a/b
tracker=wandb tracker.project=''
tracker=wandb tracker.mode=nope
-m > seed=range(0,10,0)
-m > seed=range(1000000000)
-m > seed=interval(0,1)
-m > seed=glob(x*)
-m > method=glob(zzz*)
-m > seed=
-m > seed=choice()
-m > seed=1,2,${
--cfg nope >
--cfg >
--info nope >
--info >
--multirun=3 >
--config-dir >
--config-dir=nowhere >
--config-dir=/etc/passwd >
--config-name=foo >
--config-path=x >
--package x >
--nope >
--experimental-rerun=x.pickle >
-c >
-m --cfg >
? hydra.run.dir=/proc/x
-m > hydra.sweep.dir=/proc/x seed=1,2
hydra/launcher=nope
-m > hydra/launcher=joblib hydra.launcher.n_jobs=abc seed=1,2
hydra/sweeper=nope
? hydra.job.num=abc
hydra.nope=1
? hydra.verbose=nope
hydra.mode=nope
hydra.searchpath=[3]
? hydra.searchpath=[file://nowhere]
""".splitlines()
_FINE = """\
> hydra.verbose=true
--cfg job >
--cfg hydra >
--cfg all >
--info searchpath >
--resolve --cfg job >
> dry_run=true
-m > seed=1 dry_run=true
""".splitlines()
_DISKS = (
    "output_dir=/proc/x",
    "output_dir=/dev/null",
    "output_dir=/dev/null/x",
    "output_dir=''",
    "output_dir=/dev/full/x",
)
_COMMANDS = """\
nope
ls nope
ls runs --runs nowhere
ls runs --runs /etc/passwd
ls --nope
ls tasks nope
tables --runs nowhere
tables --runs /etc/passwd
tables --out /proc/x
tables --table nope
tables --nope
compare
compare nowhere nowhere
compare /etc /etc
compare a
predict
predict nowhere
predict /etc/passwd
predict . --input nowhere
export
export nowhere out
export nowhere
params nope
params method=nope
params trainer.lr=abc
validate trainer.lr=abc
validate nope=1
validate =
validate -m
doctor nope
--version nope --nope
""".splitlines()


def cases() -> Iterator[Case]:
    """Overrides and options, places that cannot be written, sub-commands, and sweeps with a bad job among good ones."""
    for text in _COMMAND_LINES:
        line = text.removeprefix("? ")
        yield Case("command lines", line, _words(line), EITHER if line != text else REFUSED)
    for text in _FINE:
        yield Case("command lines", f"{text} (fine)", _words(text), DONE)
    for text in _DISKS:
        yield Case("places", text, [*TINY, text], REFUSED, ("output_dir", "not understood"))
    for text in _COMMANDS:
        yield Case("sub-commands", text, text.split(), EITHER if text.startswith("--version") else REFUSED)
    for value in ("['a b']", "v=1", "données", "a#b", "(a)", "a&b", "a;b", "[x]", "a+b", "~/d", "a b"):
        yield Case(
            "quoting",
            f"task.data_dir={value}",
            [*TINY, f"task.data_dir={value}"],
            EITHER,
            ("task.data_dir", "task.files"),
        )
    for value in ("2024", "1e3", "true", "null", "0", "[0,1]"):
        arguments = [
            *"task=classification task.data_dir=d plm=mini_roberta task.max_length=64".split(),
            f"task.text={value}",
        ]
        table = files(dict.fromkeys(("d/train.tsv", "d/dev.tsv"), "text\tlabel\na\tb\nc\td\n"))
        yield Case("quoting", arguments[-1], arguments, REFUSED, ("task.text", "columns"), table)
    yield Case("decoding", "beams=5000", [*TINY_NLG, "task.decoding.beams=5000"], EITHER, ("task.decoding.beams",))
    yield Case(
        "decoding",
        "beams and sampling",
        [*TINY_NLG, "task.decoding.beams=2", "task.decoding.sample=true"],
        EITHER,
        ("task.decoding",),
    )
    for name, jobs in _SWEEPS.items():
        shows = "" if name in ("a bad method", "no folder for the sweep") else "sweep of"
        arguments = ["-m", *TINY, *jobs.split()]
        yield Case("sweeps", name, arguments, _WORST[name], (), a_file, alone=False, shows=shows)


def a_file(folder: Path) -> None:
    """A file where a folder may be expected."""
    (folder / "file").write_text("")


_SWEEPS = {
    "a bad value among good ones": "seed=1,abc,2",
    "an interpolation among good ones": "seed=1,${nope},2",
    "a diverging job": "trainer.lr=1e-3,1e30,2e-3",
    "a bad method": "method=lora,nope",
    "a file for output_dir": "seed=1,2 output_dir=file",
    "no folder for the sweep": "seed=1,2 hydra.sweep.dir=file/x",
    "one job": "seed=7",
    "all bad": "seed=a,b",
    "joblib": "seed=1,abc hydra/launcher=joblib hydra.launcher.n_jobs=1",
}


_WORST = dict.fromkeys(_SWEEPS, REFUSED) | {
    "a diverging job": frozenset({1}),
    "no folder for the sweep": EITHER,
    "one job": DONE,
}


def _words(text: str) -> list[str]:
    options, mark, overrides = text.rpartition(">")
    return [*options.split(), *TINY, *(overrides.split() if mark or text.count("=") != 1 else [text])]
