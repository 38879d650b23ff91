"""The package on CUDA tensors without a GPU: what breaks, what is launched, and where the host waits.

CUDA tensors are fake: they have a shape, a type and a device, and no memory. CPU tensors are real. All of the package
runs as it is: `TunedModel`, tasks, the training loop, evaluation, decoding. What has to be replaced is listed in
`stand_ins.py`. torch's CPU build knows no CUDA device, so that a no-op device guard (`guard.cpp`) is compiled, and
loaded before torch; that is why all of it runs in a process of its own, which `process.run` starts.

    process.py     builds the guard, starts the process; what it is asked and what it answers
    __main__.py    the process
    scenes.py      a training step, an evaluation and a decoding step of a method on a PLM
    device.py      the CUDA device: fake tensors on it, copies from and to it, what it refuses
    counts.py      launches and waits
    stand_ins.py   what is replaced, and why
"""
