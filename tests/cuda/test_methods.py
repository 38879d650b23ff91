"""The core of every method's contract in mixed precision, compared with the same model in float32 on the CPU."""

import pytest
import torch
from helpers.architectures import PAD, build, tokens
from helpers.method_options import OPTIONS
from torch.nn import functional as F

import inducer_bench as ib

ARCHITECTURES = ["roberta", "gpt2", "llama"]
DECODERS = ["gpt2", "llama"]
IMPOSSIBLE = {("head_only", "gpt2"), ("head_only", "llama"), ("bitfit", "llama")}
PAIRS = [(m, a) for m in OPTIONS for a in ARCHITECTURES if (m, a) not in IMPOSSIBLE]
each_pair = pytest.mark.parametrize(("method", "architecture"), PAIRS)
each_decoder = pytest.mark.parametrize(("method", "architecture"), [pair for pair in PAIRS if pair[1] in DECODERS])
STEPS = 12


def attached(method, architecture):
    """A tuned tiny model in float32 on the CPU, whose method parameters are not at their start values."""
    tuned = ib.attach(build(architecture).float(), method, **OPTIONS[method])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.method_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return tuned


def pair(method, architecture, device):
    """The same model twice: in float32 on the CPU, and on the device."""
    return attached(method, architecture), attached(method, architecture).to(device)


def mixed(device):
    return torch.autocast(device.type, torch.bfloat16)


def loss(logits):
    """Cross entropy with fixed labels, of rows or of all tokens."""
    flat = logits.float().flatten(0, -2)
    return F.cross_entropy(flat, torch.arange(len(flat), device=flat.device) % flat.shape[1])


def padded(rows, length, seed=0):
    """Tokens (B, T) and their mask; every second row is padded on the right."""
    ids = tokens(rows, length, seed)
    ids[1::2, -2:] = PAD
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def on(device, inputs):
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def gradients(tuned):
    return {name: parameter.grad for name, parameter in tuned.trained_parameters().items()}


@each_pair
def test_loss_and_gradients_are_near_those_of_the_cpu(method, architecture, device):
    cpu, gpu = pair(method, architecture, device)
    inputs = padded(4, 9)
    expected = loss(cpu(**inputs).logits)
    expected.backward()
    with mixed(device):
        logits = gpu(**on(device, inputs)).logits
    found = loss(logits)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=0.03)
    for name, gradient in gradients(gpu).items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.device.type == device.type
    flat, wanted = (torch.cat([g.float().cpu().flatten() for g in gradients(x).values()]) for x in (gpu, cpu))
    assert F.cosine_similarity(flat, wanted, dim=0) > 0.99
    assert flat.norm().item() == pytest.approx(wanted.norm().item(), rel=0.05)


@each_pair
def test_training_follows_the_curve_of_the_cpu(method, architecture, device):
    curves = []
    for tuned, where in zip(pair(method, architecture, device), (torch.device("cpu"), device), strict=True):
        optimizer = torch.optim.AdamW(list(tuned.trained_parameters().values()), lr=1e-2, fused=True)
        inputs, losses = on(where, padded(8, 7)), []
        target = torch.arange(8, device=where) % 3
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast(where.type, torch.bfloat16, enabled=where is device):
                logits = tuned(**inputs).logits
            logits = logits if architecture == "roberta" else logits[:, -3]
            value = F.cross_entropy(logits.float(), target)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        curves.append(losses)
    cpu, gpu = curves
    assert gpu == pytest.approx(cpu, abs=0.1, rel=0.1)
    assert gpu[-1] < gpu[0]


@each_pair
def test_saved_and_loaded_gives_the_same_outputs(method, architecture, device, tmp_path):
    tuned = attached(method, architecture).to(device)
    tuned.save(tmp_path)
    again = ib.load(build(architecture).float().to(device), tmp_path)
    inputs = on(device, padded(4, 9))
    with torch.no_grad():
        found, expected = again(**inputs).logits, tuned(**inputs).logits
    # A deployed prefix was computed by other products than those of the training form.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 if method == "prefix" else 0)


@each_decoder
def test_decoding_gives_the_tokens_of_the_cpu(method, architecture, device):
    """In float32, from prompts of two lengths, the shorter one padded on the left."""
    cpu, gpu = pair(method, architecture, device)
    prompts = tokens(2, 6, seed=3)
    prompts[1, :3] = PAD
    inputs = {"input_ids": prompts, "attention_mask": (prompts != PAD).long()}
    settings = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": PAD}
    expected, found = cpu.generate(**inputs, **settings), gpu.generate(**on(device, inputs), **settings)
    assert expected.shape == (2, 14)
    assert torch.equal(found.cpu(), expected)


@each_decoder
def test_left_padded_batch_in_mixed_precision_gives_what_each_row_gives_alone(method, architecture, device):
    tuned = attached(method, architecture).to(device)
    long, short = tokens(1, 8, seed=1), tokens(1, 5, seed=2)
    ids = torch.cat([long, torch.cat([torch.full((1, 3), PAD), short], dim=1)])
    mask = (ids != PAD).long()
    inputs = on(device, {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)})
    with torch.no_grad(), mixed(device):
        together, alone = tuned(**inputs).logits, tuned(input_ids=short.to(device)).logits
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together[1:, 3:].float(), alone.float(), rtol=0.05, atol=0.25)
