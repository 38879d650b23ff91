"""What the PLMs of the mini suite can do before they are trained."""

import pytest
import torch

from scripts.mini.pretrain import MASK, gpt2, roberta
from scripts.mini.start_weights import moved, sinusoids

VOCABULARY, LENGTH = 500, 40


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_sinusoids_move_by_a_rotation():
    positions = sinusoids(300, 16)
    torch.testing.assert_close(positions[10:200] @ moved(16, -3), positions[7:197], atol=1e-4, rtol=0)


def test_gpt2_starts_by_continuing_what_followed_before():
    tokens = torch.randint(1, VOCABULARY, (8, LENGTH))
    with torch.no_grad():
        guessed = gpt2([], VOCABULARY).eval()(tokens.repeat(1, 2)).logits.argmax(-1)
    assert (guessed[:, LENGTH:-1] == tokens[:, 1:]).float().mean() > 0.8
    assert (guessed[:, : LENGTH - 1] == tokens[:, 1:]).float().mean() < 0.1


def test_roberta_starts_by_looking_where_the_same_neighbours_are():
    tokens = torch.randint(5, VOCABULARY, (8, LENGTH))
    model = roberta([row.tolist() for row in tokens], VOCABULARY).eval()
    model.set_attn_implementation("eager")
    masked = torch.cat((tokens, tokens), dim=1)
    place = LENGTH + 20
    masked[:, place] = MASK
    with torch.no_grad():
        looked = model.roberta(masked, output_attentions=True).attentions[1][:, :2, place]  # (B, two heads, S)
    assert looked[:, :, 20].mean() > 0.5
