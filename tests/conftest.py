"""Shared by all tests: tiny PLMs and data written on the spot, the real command line, and no way out to the network."""

import gc
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_ROOM = Path(tempfile.mkdtemp(prefix="inducer-bench-tests-"))
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": str(_ROOM / "hf"),
    "INDUCER_BENCH_CACHE": str(_ROOM / "cache"),
    "NETRC": str(_ROOM / "netrc"),
    "TRACKIO_DIR": str(_ROOM / "trackio"),
}
os.environ.update(_ENVIRONMENT)  # before anything imports torch or transformers
for _name in [name for name in os.environ if name.startswith("WANDB_")]:
    del os.environ[_name]

RunCli = Callable[..., subprocess.CompletedProcess[str]]

_GOOD = ("a charming and moving film", "great acting", "wonderful story", "a delight", "brilliant and funny")
_BAD = ("a dull and clumsy film", "awful acting", "tedious story", "a mess", "stupid and boring")
_FILLERS = ("for the whole family", "from start to finish", "in every scene", "if you ask me", "this year")


def pytest_collection_finish() -> None:
    """Every import is done: later collections of garbage need not look at what stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _clean_up() -> Iterator[None]:
    yield
    shutil.rmtree(_ROOM, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> None:
    from helpers import parsed_once

    parsed_once.install()


@pytest.fixture(autouse=True)
def _notices() -> None:
    """Each test is told what an earlier one was told already."""
    from inducer_bench import notices

    notices.TERMINAL.told.clear()


@pytest.fixture(autouse=True)
def _hub_is_off() -> Iterator[None]:
    """A test that allows the network leaves it forbidden: the hub's libraries retry for 23 seconds."""
    from inducer_bench import hub

    yield
    hub._set_in_libraries(True)


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """The command line, run in a folder of its own unless `cwd` says where; `env` is added to the environment.

    It runs in a process forked from one that has imported everything, which saves seconds; or, if `installed`, as the
    installed command, for what depends on a process of its own.
    """
    from helpers.commands import command

    def run(
        *args: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 120,
        installed: bool = False,
        stdin: bytes = b"",
    ) -> subprocess.CompletedProcess[str]:
        folder = cwd or Path(tempfile.mkdtemp(dir=_ROOM))
        if installed:
            program = Path(sys.executable).with_name("inducer-bench")
            return subprocess.run(
                [program, *map(str, args)], cwd=folder, env={**os.environ, **(env or {})}, capture_output=True,
                text=True, timeout=timeout, check=False,
            )  # fmt: skip
        ended = command(map(str, args), folder, environment=env, stdin=stdin, timeout=timeout)
        assert not ended.hung, ended
        return subprocess.CompletedProcess(list(map(str, args)), ended.code, ended.out, ended.err)

    return run


@pytest.fixture(scope="session")
def sst2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.tsv (64 rows) and dev.tsv (32 rows) in GLUE's layout; one word of each sentence decides its label."""
    folder = tmp_path_factory.mktemp("sst2")
    sentences = _sentences()
    for split, rows in (("train", sentences[:64]), ("dev", sentences[64:96])):
        lines = ["sentence\tlabel", *(f"{text}\t{label}" for text, label in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random RoBERTa (d = 32, 2 layers, 4 heads, 62 positions) with its tokenizer, as `save_pretrained` leaves it."""
    from transformers import RobertaConfig, RobertaTokenizer

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocab, merges = _byte_level_bpe(specials)
    config = RobertaConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        type_vocab_size=1,
        initializer_range=0.1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    folder = tmp_path_factory.mktemp("plms") / "tiny_roberta"
    RobertaTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    return _save_random_weights(config, "masked", folder)


@pytest.fixture(scope="session")
def tiny_run(tiny_roberta_folder: Path, sst2_folder: Path) -> list[str]:
    """Overrides that make a run one of seconds: the tiny RoBERTa on 16 short sentences."""
    return [
        f"plm.path={tiny_roberta_folder}",
        f"task.data_dir={sst2_folder}",
        "task.max_length=32",
        "task.max_train=16",
    ]


@pytest.fixture
def overrides(tiny_roberta_folder: Path, sst2_folder: Path, tmp_path: Path) -> list[str]:
    """A run of 2 epochs of 8 steps, with dropout and gradient accumulation."""
    return [
        f"plm.path={tiny_roberta_folder}", f"task.data_dir={sst2_folder}", "task.max_length=32", "trainer.lr=5e-3",
        "trainer.epochs=2", "trainer.batch_size=8", "trainer.micro_batch_size=3", "trainer.log_every=2",
        "trainer.checkpoint_every=3", "method.r_k=4", f"output_dir={tmp_path / 'runs'}",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 (d = 32, 2 layers, 4 heads, 64 positions) with its tokenizer, which has no padding token."""
    from transformers import GPT2Config, GPT2Tokenizer

    vocab, merges = _byte_level_bpe(["<|endoftext|>"])
    config = GPT2Config(
        vocab_size=len(vocab),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        initializer_range=0.1,
        bos_token_id=0,
        eos_token_id=0,
    )
    folder = tmp_path_factory.mktemp("plms") / "tiny_gpt2"
    GPT2Tokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    return _save_random_weights(config, "causal", folder)


def _sentences() -> list[tuple[str, int]]:
    """Every opinion with every filler before and behind, shuffled: 100 different sentences, half of them good."""
    rows = [(f"{opinion} {filler}", label) for label, side in enumerate((_BAD, _GOOD)) for opinion in side
            for filler in _FILLERS]  # fmt: skip
    rows += [(f"{filler} : {opinion}", label) for label, side in enumerate((_BAD, _GOOD)) for opinion in side
             for filler in _FILLERS]  # fmt: skip
    random.Random(0).shuffle(rows)
    return rows


def _byte_level_bpe(specials: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary (special tokens first) and merges, trained on the sentences above."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=len(specials) + 256 + 60,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([text for text, _ in _sentences()], trainer)
    model = json.loads(bpe.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _save_random_weights(config: "PreTrainedConfig", head: str, folder: Path) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    auto = AutoModelForMaskedLM if head == "masked" else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        auto.from_config(config).save_pretrained(folder)
    return folder
