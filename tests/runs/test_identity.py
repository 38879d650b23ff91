"""Equal experiments have equal names, and nothing else does."""

import dataclasses
import re
import shutil

import pytest

from inducer_bench import version
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs import identity
from inducer_bench.runs.identity import identify, run_folder


@pytest.fixture
def folders(tmp_path, tiny_roberta_folder, sst2_folder):
    """Copies of a PLM and of data, to be changed."""
    plm, data = tmp_path / "here" / "tiny_roberta", tmp_path / "here" / "data"
    shutil.copytree(tiny_roberta_folder, plm)
    shutil.copytree(sst2_folder, data)
    return plm, data


@pytest.fixture(scope="module")
def originals(tiny_roberta_folder, sst2_folder):
    return tiny_roberta_folder, sst2_folder


@pytest.fixture(scope="module")
def plain_name(originals):
    return name(originals)


def name(folders, *overrides):
    plm, data = folders
    config = compose([f"plm.path={plm}", f"task.data_dir={data}", "task.max_length=32", *overrides])
    return identify(config).hash


def test_hash_is_sixteen_hexadecimal_digits_and_stable(folders):
    assert re.fullmatch("[0-9a-f]{16}", name(folders))
    assert name(folders) == name(folders)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1", "method=fine_tune", "method.r_k=2", "method.gate=false", "protocol=clean", "trainer.lr=1e-3",
        "protocol.train_head=false", "trainer.epochs=3", "trainer.batch_size=8", "trainer.micro_batch_size=4",
        "trainer.precision=fp32", "trainer.deterministic=true", "trainer.gradient_checkpointing=true",
        "trainer.frozen=bf16", "task.max_train=5", "task.max_eval=5", "task.max_length=31", "plm.weights=random",
        "task.labels=[bad,good]", "task.report=[dev,train]", "task.metrics=[accuracy,f1]", "task.name=other",
    ],
)  # fmt: skip
def test_what_is_computed_changes_the_hash(originals, plain_name, override):
    assert name(originals, override) != plain_name


@pytest.mark.parametrize(
    "override",
    [
        "output_dir=elsewhere", "tracker=wandb", "tracker.project=other", "trainer.log_every=3",
        "trainer.checkpoint_every=7", "trainer.checkpoint_minutes=0.5", "trainer.keep_checkpoint=true", "dry_run=true",
        "trainer.gpu_memory=0.2",
        "optimized_metric=accuracy", "search=0123456789012345", "task.hub.revision=v2",
        "plm.revision=v2",
        "task.hub.splits.dev=test",
    ],
)  # fmt: skip
def test_places_trackers_and_log_frequency_do_not_change_the_hash(originals, plain_name, override):
    assert name(originals, override) == plain_name


def test_moved_data_and_plm_do_not_change_the_hash(folders, plain_name, tmp_path):
    (tmp_path / "here").rename(tmp_path / "there")
    assert name([tmp_path / "there" / folder.name for folder in folders]) == plain_name


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "train.tsv", "dev.tsv"]
)
def test_one_changed_byte_in_any_file_changes_the_hash(folders, plain_name, file):
    path = next(folder / file for folder in folders if (folder / file).exists())
    path.write_bytes(path.read_bytes() + b"\n")
    assert name(folders) != plain_name


def test_lines_moved_between_files_change_the_hash(folders):
    train, dev = folders[1] / "train.tsv", folders[1] / "dev.tsv"
    before = name(folders)
    dev.write_bytes(train.read_bytes()[-20:] + dev.read_bytes())
    train.write_bytes(train.read_bytes()[:-20])
    assert name(folders) != before


def test_other_ending_changes_the_hash_as_it_is_read_another_way(folders, plain_name):
    (folders[1] / "dev.tsv").rename(folders[1] / "dev.csv")
    assert name(folders) != plain_name


def test_renamed_data_file_does_not_change_the_hash(folders, plain_name):
    (folders[1] / "dev.tsv").rename(folders[1] / "valid.tsv")
    assert name(folders, "task.files.dev=valid") == plain_name


def test_file_of_a_split_that_is_not_used_does_not_change_the_hash(folders, plain_name):
    (folders[1] / "test.tsv").write_text("anything")
    assert name(folders, "+task.files.test=test") == plain_name


def test_other_algorithm_changes_the_hash_and_a_release_alone_does_not(folders, monkeypatch):
    before = name(folders)
    monkeypatch.setattr(version, "__version__", "99.0")
    monkeypatch.setattr("inducer_bench.__version__", "99.0")
    assert name(folders) == before
    monkeypatch.setattr(identity, "ALGORITHM", 99)
    assert name(folders) != before


def test_edited_module_of_the_user_changes_the_hash(folders, tmp_path, monkeypatch):
    modules = {
        "method": "from inducer_bench.methods.options import MethodOptions\n"
        "from inducer_bench.options import options\n@options\nclass Options(MethodOptions):\n    rate: float\n"
        "def attach(tuned, options): ...\n",
        "metric": "from inducer_bench.metrics.metric import Metric\nM = Metric('m', 'm', of='labels', score=None)\n",
    }
    (tmp_path / "identified").mkdir()
    for module, code in modules.items():
        (tmp_path / "identified" / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["method=own", "method.name=identified.method", "+method.rate=1.0", "trainer.lr=1e-3",
           "task.metrics=[accuracy,identified.metric.M]"]  # fmt: skip
    found = [name(folders, *own)]
    for module in modules:
        with (tmp_path / "identified" / f"{module}.py").open("a") as file:
            file.write("# edited\n")
        found.append(name(folders, *own))
    assert len(set(found)) == 3
    assert name(folders, *own) == found[-1]


def test_other_tokenizer_changes_the_hash(folders, tiny_gpt2_folder):
    plm, _ = folders
    assert name(folders, f"plm.tokenizer={tiny_gpt2_folder}") not in (
        name(folders),
        name(folders, f"plm.tokenizer={plm}"),
    )


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A function that lets main branches of the hub's PLM and data be at a commit, as its cache says."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def refer(repository, commit):
        reference = tmp_path / repository / "refs" / "main"
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)

    refer(PLM, ONE)
    refer(DATA, ONE)
    return refer


PLM, DATA = "models--FacebookAI--roberta-base", "datasets--nyu-mll--glue"
ONE, OTHER = "a" * 40, "b" * 40


@pytest.mark.parametrize("repository", [PLM, DATA])
def test_commit_behind_a_revision_on_the_hub_changes_the_hash(hub_cache, repository):
    before = identify(compose([]))
    assert identify(compose([])) == before
    hub_cache(repository, OTHER)
    after = identify(compose([]))
    assert after.hash != before.hash
    assert OTHER in (after.plm if repository == PLM else after.data)


def test_name_of_a_revision_does_not_change_the_hash(hub_cache):
    named = identify(compose([f"plm.revision={ONE}", f"task.hub.revision={ONE}"]))
    assert named == identify(compose([]))
    assert (named.plm, named.data) == (
        f"hub:FacebookAI/roberta-base@{ONE}",
        f"hub:nyu-mll/glue/sst2@{ONE}:train,validation",
    )
    assert identify(compose(["task.hub.splits.dev=test"])).hash != named.hash


def test_commit_of_a_tokenizer_from_the_hub_changes_the_hash_of_random_weights(hub_cache, tiny_roberta_folder):
    own, given = (compose(["plm.weights=random", *more]) for more in ([], [f"plm.tokenizer={tiny_roberta_folder}"]))
    before = identify(own), identify(given)
    hub_cache(PLM, OTHER)
    assert identify(own).hash != before[0].hash
    assert identify(given) == before[1]


def test_sizes_of_random_weights_change_the_hash():
    random, large = (compose(["plm.weights=random", f"plm.architecture.num_hidden_layers={n}"]) for n in (12, 13))
    assert identify(random).hash != identify(large).hash


def test_folder_is_named_by_task_plm_method_and_hash(folders):
    plm, data = folders
    config = compose([f"plm.path={plm}", f"task.data_dir={data}", "task.max_length=32", "output_dir=out"])
    found = identify(config)
    assert run_folder(config, found).as_posix() == f"out/sst2/tiny_roberta/inducer/{found.hash}"


def test_canonical_form_has_every_key_that_is_not_neutral():
    config = compose([])
    canonical, whole = identity.canonical(config), dataclasses.asdict(config)
    neutral = {"seeds", "tracker", "output_dir", "dry_run", "optimized_metric", "suite", "recipe", "search"}
    assert set(whole) - set(canonical) == neutral
    assert canonical["method"].items() <= whole["method"].items()
    assert set(whole["method"]) - set(canonical["method"]) == {"key_residual", "self_temperature"}  # at their old value
    neutral = {"source", "data_dir", "files", "hub", "title", "keep_inputs", "sample"}  # of all examples there is one
    assert set(whole["task"]) - set(canonical["task"]) == neutral
    assert canonical["seed"] == 0


def test_folder_without_safetensors_is_refused(folders):
    plm, _ = folders
    (plm / "model.safetensors").rename(plm / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"holds no \*\.safetensors"):
        name(folders)


def test_missing_data_file_is_named(folders):
    _, data = folders
    (data / "dev.tsv").unlink()
    with pytest.raises(UserError, match=r"^task\.data_dir: no dev\.\(tsv\|csv.*; found: train\.tsv; for another name"):
        name(folders)
