"""Make the records and adapters that every later version must read; see `test_compatibility.py`.

    python tests/compatibility/make.py runs tests/compatibility/schema_4    # what this version records
    python tests/compatibility/make.py adapters tests/compatibility         # PLMs, adapters, and their outputs

What was made once is never made again: it is what the versions of its time wrote.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
WORDS = ("a dull film", "a fine film", "it is a mess", "it is a delight", "bad", "good", "who saw it ?", "Ada saw it .")
SHARED = ("trainer.batch_size=4", "trainer.device=cpu", "trainer.lr=0.01", "trainer.checkpoint_every=1000")
NLU = ("task=sst2", "plm.path=plms/roberta", "task.data_dir=data", "task.max_length=16", "trainer.epochs=2", *SHARED)
NLG = ("task=coqa", "plm.path=plms/gpt2", "task.data_dir=data", "task.max_length=40", "trainer.epochs=1",
       "task.decoding.max_new_tokens=3", *SHARED)  # fmt: skip
RUNS = {  # name -> overrides, and what stops the run
    "nlu": ((*NLU, "method=inducer", "method.r_k=2", "method.r_v=2"), None),
    "nlg": ((*NLG, "method=lora", "method.r=2"), None),
    "failed": ((*NLU, "method=bitfit", "trainer.lr=1e30", "trainer.warmup=0"), None),
    "oom": ((*NLU, "method=lora", "method.r=2"), MemoryError("out of memory")),
    "interrupted": ((*NLU, "method=head_only"), KeyboardInterrupt()),
}
KEPT = ("record.json", "metrics.jsonl", "predictions.jsonl.gz", "coqa_predictions.json", "adapter")
ADAPTERS = {  # name -> PLM, method, options, special tokens
    "adapter": ("roberta", "adapter", {"r": 2}, 0),
    "bitfit": ("roberta", "bitfit", {}, 0),
    "inducer": ("roberta", "inducer", {"r_k": 2, "r_v": 2}, 0),
    "kernel_mix": ("roberta", "kernel_mix", {"q": 1, "q_shared": 1, "v_o": 1, "v_o_shared": 1}, 0),
    "lora": ("gpt2", "lora", {"r": 2, "alpha": 4.0}, 3),
    "peft_ia3": ("gpt2", "peft", {"peft_type": "IA3"}, 0),
    "prefix": ("gpt2", "prefix", {"length": 2, "hidden": 3}, 3),
}
INPUTS = [[7, 9, 30, 11, 20], [8, 8, 40, 12, 21]]


def main(what: str, out: Path) -> None:
    """Make one kind of fixture below `out`."""
    if what == "adapters":
        write_plms(out / "plms")
        write_adapters(out)
        return
    with tempfile.TemporaryDirectory() as scratch, _working_in(Path(scratch)):
        shutil.copytree(HERE / "plms", "plms")
        write_data(Path("data"))
        for name, (overrides, error) in RUNS.items():
            write_run(out / name, overrides, error)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Run in a folder, so that no path of this machine is recorded."""
    os.environ["INDUCER_BENCH_CACHE"] = str(folder / "cache")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write_run(out: Path, overrides: tuple[str, ...], error: BaseException | None) -> None:
    """Run an experiment, or stop it by `error`, and keep its files below `out`, in the run's own place."""
    from inducer_bench.config.compose import compose
    from inducer_bench.runs import experiment
    from inducer_bench.runs.run import run

    with patch.object(sys, "argv", ["inducer-bench", *overrides]):
        if error is None:
            outcome = run(compose([*overrides]))
        else:
            with patch.object(experiment, "execute", side_effect=error):
                outcome = run(compose([*overrides]))
    target = out / outcome.folder.relative_to("runs")
    target.mkdir(parents=True)
    for name in KEPT:
        path = outcome.folder / name
        if path.exists():
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target / name)


def write_data(folder: Path) -> None:
    """SST-2 and CoQA, a few rows of each."""
    folder.mkdir()
    for split in ("train", "dev"):
        rows = [f"{text} {number}\t{number % 2}" for number, text in enumerate(WORDS)]
        (folder / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
        dialogues = [
            {"id": name, "source": "cnn", "story": f"{name} saw a film .",
             "questions": [{"input_text": text, "turn_id": turn} for turn, text in ((1, "Who ?"), (2, "What ?"))],
             "answers": [{"input_text": text, "turn_id": turn} for turn, text in ((1, name), (2, "a film"))]}
            for name in ("Ada", "Bo", "Cleo")
        ]  # fmt: skip
        (folder / f"coqa-{split}-v1.0.json").write_text(json.dumps({"data": dialogues}))


def write_plms(folder: Path) -> None:
    """A RoBERTa and a GPT-2 of random weights, d = 16, with their tokenizers."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPT2Tokenizer,
        RobertaConfig,
        RobertaForMaskedLM,
        RobertaTokenizer,
    )

    torch.manual_seed(0)
    alphabet = sorted(ByteLevel.alphabet())
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {token: number for number, token in enumerate([*specials, *alphabet])}
    sizes = {"vocab_size": len(vocabulary), "initializer_range": 0.3}
    encoder = RobertaConfig(**sizes, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                            max_position_embeddings=42, type_vocab_size=1)  # fmt: skip
    RobertaForMaskedLM(encoder).save_pretrained(folder / "roberta")
    RobertaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder / "roberta")
    vocabulary = {token: number for number, token in enumerate(["<|endoftext|>", *alphabet])}
    decoder = GPT2Config(vocab_size=len(vocabulary), initializer_range=0.3, n_embd=16, n_layer=2, n_head=2,
                         n_positions=40, bos_token_id=0, eos_token_id=0)  # fmt: skip
    GPT2LMHeadModel(decoder).save_pretrained(folder / "gpt2")
    GPT2Tokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder / "gpt2")


def write_adapters(out: Path) -> None:
    """An adapter of each of `ADAPTERS`, with random weights, and what the PLM with it gives for `INPUTS`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    import inducer_bench as ib

    outputs = {}
    for name, (plm, method, options, tokens) in ADAPTERS.items():
        auto = AutoModelForSequenceClassification if plm == "roberta" else AutoModelForCausalLM
        model = auto.from_pretrained(out / "plms" / plm, dtype=torch.float64)
        tuned = ib.attach(model, method, **options, special_tokens=tokens).eval()
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in tuned.trained_parameters().values():
                parameter.add_(0.3 * torch.randn(parameter.shape)).copy_(parameter.float())
            outputs[name] = tuned(input_ids=torch.tensor(INPUTS)).logits[..., -1].tolist()
        tuned.save(out / "adapters" / name)
    (out / "adapters" / "outputs.json").write_text(json.dumps(outputs, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
