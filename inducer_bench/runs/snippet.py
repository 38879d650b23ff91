"""The lines of Python in a model card: they load what was exported and use it once, as they stand."""

from pathlib import Path

from inducer_bench.mini import suite
from inducer_bench.plm.location import architecture, plm_gguf
from inducer_bench.plm.options import PlmOptions
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import SPECIAL_TOKENS, ClassificationOptions, GenerationOptions
from inducer_bench.tasks.registry import TASKS
from inducer_bench.tasks.sequence import Segment

MERGED = "transformers"  # the library of a merged model
_IMPORTS = {"peft": "from peft import PeftModel", "inducer-bench": "import inducer_bench as ib"}
_CALLS = {"peft": "PeftModel.from_pretrained(model, folder)", "inducer-bench": "ib.load(model, folder)"}
_SOURCES: dict[str, list[Segment]] = {  # of the generation tasks of this package
    "webnlg": [("<subject>", "Aarhus"), ("<property>", "country"), ("<object>", "Denmark")],
    "coqa": [("<document>", "Ann lives in Rome."), ("<question>", "Where does Ann live?")],
    "text_to_text": [("<source_sm>", "A text to be rewritten.")],
}


def base_model(plm: PlmOptions) -> str:
    """The name of the PLM's folder, its id on the hub, or its own, if it is bundled or made of a GGUF file."""
    if plm_gguf(plm) is not None:
        return plm.name
    return Path(plm.path).resolve().name if plm.path else plm.hub or plm.name


def usage(run: FinishedRun, library: str, repository: str | None = None) -> str:
    """The lines.

    Args:
        run: that was exported.
        library: that loads it: peft, inducer-bench or, for a merged model, transformers.
        repository: on the hub, if it was pushed there.
    """
    task = run.config.task
    lines = [*_imports(run, library, repository), ""]
    lines += [f"folder = snapshot_download({repository!r})" if repository else 'folder = "."  # this folder']
    if library != MERGED:
        lines.append(_base(run.config.plm))
    lines += _model(run, library)
    if isinstance(task, ClassificationOptions):
        lines += _classify(run, task)
    elif isinstance(task, GenerationOptions) and task.kind in _SOURCES:
        lines += _generate(run, task)
    return "\n".join(lines)


def _imports(run: FinishedRun, library: str, repository: str | None) -> list[str]:
    plm = run.config.plm
    found = ["import torch", *(["from huggingface_hub import snapshot_download"] if repository else [])]
    found += [_IMPORTS[library]] if library != MERGED else []
    if library != MERGED and (_is_bundled(plm) or plm.tokenizer in suite.plm_names()):
        found.append("from inducer_bench.mini.suite import plm_dir")
    return [*found, f"from transformers import {run.config.task.auto_class}, AutoTokenizer"]


def _is_bundled(plm: PlmOptions) -> bool:
    return plm.path is None and plm.hub is None


def _base(plm: PlmOptions) -> str:
    if _is_bundled(plm):
        return f"base = plm_dir({plm.name!r})"
    local = plm.path or plm_gguf(plm) is not None
    return f"base = {base_model(plm)!r}" + ("  # the folder of the pre-trained model" if local else "")


def _model(run: FinishedRun, library: str) -> list[str]:
    """The lines that load tokenizer and model."""
    auto, plm = run.config.task.auto_class, run.config.plm
    if library == MERGED:
        return [
            "tokenizer = AutoTokenizer.from_pretrained(folder)",
            f"model = {auto}.from_pretrained(folder).eval()",
        ]
    commit = run.record.plm_fingerprint.split()[0].partition("@")[2] if plm.hub and not plm.path else ""
    pinned = f"base, revision={commit!r}" if commit else "base"
    tokenizer = pinned
    if plm.tokenizer is not None:
        bundled = plm.tokenizer in suite.plm_names()
        tokenizer = f"plm_dir({plm.tokenizer!r})" if bundled else repr(Path(plm.tokenizer).name)
    labels, outputs = run.record.labels, "" if run.outputs is None else f", num_labels={run.outputs}"
    lines = [f"tokenizer = AutoTokenizer.from_pretrained({tokenizer})"]
    if labels is not None:
        names = ", ".join(repr(label) for label in labels)
        lines.append(f"labels = [{names}]")
        outputs = ", id2label=dict(enumerate(labels)), label2id={label: code for code, label in enumerate(labels)}"
    lines.append(f"model = {auto}.from_pretrained({pinned}{outputs})")
    if library == "peft" and (special := run.config.task.special_tokens()):
        size = architecture(plm)["vocab_size"] + special
        lines.append(f"model.resize_token_embeddings({size}, mean_resizing=False)  # rows for special tokens")
    return [*lines, f"model = {_CALLS[library]}.eval()"]


def _classify(run: FinishedRun, task: ClassificationOptions) -> list[str]:
    texts = ", ".join(repr(f"text of {name}") for name in task.text)
    shown = "logits[0, 0].item()" if run.record.labels is None else "model.config.id2label[logits.argmax(-1).item()]"
    return [
        "",
        f'inputs = tokenizer({texts}, truncation=True, max_length={task.max_length}, return_tensors="pt")',
        "with torch.no_grad():",
        "    logits = model(**inputs).logits",
        f"print({shown})",
    ]


def _generate(run: FinishedRun, task: GenerationOptions) -> list[str]:
    kind = TASKS[task.kind]
    assert issubclass(kind, GenerationTask)
    frame, sizes = kind.frame, architecture(run.config.plm)
    first, layout = sizes["vocab_size"], run.layout
    used = dict.fromkeys([frame.begin, frame.begin_segment, *(name for name, _ in _SOURCES[task.kind]), frame.target])
    ids = ", ".join(f"{name!r}: {first + SPECIAL_TOKENS.index(name)}" for name in used)
    segments = layout is not None and layout.adds_segments
    return [
        "",
        f"special = {{{ids}}}  # ids of the tokens that open segments",
        f"ids, segments = [special[{frame.begin!r}]], [special[{frame.begin_segment!r}]]",
        f"for opening, text in {_SOURCES[task.kind]!r}:",
        '    piece = [special[opening], *tokenizer(f" {text}", add_special_tokens=False).input_ids]',
        "    ids, segments = ids + piece, segments + [special[opening]] * len(piece)",
        f"ids, segments = [*ids, special[{frame.target!r}]], [*segments, special[{frame.target!r}]]",
        "output = model.generate(",
        "    input_ids=torch.tensor([ids]),",
        "    attention_mask=torch.ones(1, len(ids), dtype=torch.long),",
        *(["    token_type_ids=torch.tensor([segments]),"] if segments else []),
        f"    max_new_tokens={task.decoding.max_new_tokens}, do_sample=False, num_beams={task.decoding.beams},",
        f"    eos_token_id=list(range({first}, {first + len(SPECIAL_TOKENS)})),  # any special token ends the text",
        f"    pad_token_id={first + SPECIAL_TOKENS.index('<pad>')},",
        ")",
        f"written = [token for token in output[0, len(ids) :].tolist() if token < {first}]",
        "print(tokenizer.decode(written, skip_special_tokens=True).strip())",
    ]
