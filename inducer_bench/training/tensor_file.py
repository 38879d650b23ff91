"""Tensors in the format of safetensors, as parts of a file that copy nothing, and their digest.

`safetensors.torch.save` needs the whole file in memory, and `save_file` chooses the temporary file and its permissions.
"""

import hashlib
import json
from collections.abc import Iterable

import torch
from torch import Tensor

# The names of types in a header: https://github.com/huggingface/safetensors
_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def parts(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> list[bytes | memoryview]:
    """The header of a safetensors file and views of what follows it.

    Args:
        tensors: contiguous, on the CPU; the largest types come first, so that each one lies at a multiple of its size.
    """
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    views: list[bytes | memoryview] = []
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end],
        }  # fmt: skip
        views.append(_bytes(tensor))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *views]


def metadata(content: bytes) -> dict[str, str]:
    """The metadata in the header of a safetensors file, which `safetensors.torch.load` has read without complaint."""
    size = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    return found


def digest(tensors: dict[str, Tensor]) -> str:
    """The sha256 of the names, types, shapes and bytes of contiguous tensors on the CPU."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def sha256(content: Iterable[bytes | memoryview]) -> str:
    """The sha256 of a file that consists of these parts."""
    found = hashlib.sha256()
    for part in content:
        found.update(part)
    return found.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    view: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return view
