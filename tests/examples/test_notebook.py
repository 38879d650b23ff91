"""The notebook of `examples` does what its text says, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

FILE = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(FILE, as_version=4)


@pytest.fixture(scope="module")
def outputs(notebook, tmp_path_factory):
    """The text that each code cell shows, after all of them have run in an empty folder."""
    assert "python3" in KernelSpecManager().find_kernel_specs()
    folder = tmp_path_factory.mktemp("notebook")
    done = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    texts = []
    for cell in done.cells:
        if cell.cell_type == "code":
            shown = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            texts.append("\n".join(shown))
    return folder, texts


def test_notebook_is_kept_without_outputs():
    cells = [cell for cell in nbformat.read(FILE, as_version=4).cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []


def test_notebook_goes_from_a_csv_to_a_table_and_to_a_model_of_ones_own(outputs):
    folder, texts = outputs
    assert len(list((folder / "runs").rglob("record.json"))) == 4
    assert "LoRA" in texts[1]
    assert texts[2].startswith("LoRA on mini_roberta for classification, seed 0")
    assert texts[3].count("mini_roberta") == 4
    assert "std" in texts[4]
    assert "method.name" in texts[5]
    assert texts[6].count("prediction") == 2
    assert texts[7].startswith("LoRA on RobertaForSequenceClassification")
    assert (folder / "adapter" / "adapter.safetensors").is_file()


def test_notebook_prints_no_warnings(outputs):
    assert [text for text in outputs[1] if "arning" in text or "inducer-bench:" in text] == []
