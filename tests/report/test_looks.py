"""The looks of methods: that eyes of every kind, and greyscale, can tell them apart."""

import itertools

import numpy as np

from inducer_bench.methods.options import METHODS
from inducer_bench.report import looks

# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB.
EYES = {
    eye: np.array(rows)
    for eye, rows in {
        "usual": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    }.items()
}


def lab(colour, eye):
    """CIELAB (D65) of #rrggbb as an eye sees it."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(EYES[eye] @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ seen / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_any_two_methods_differ_in_colour_for_every_eye_and_in_marker():
    found = looks.looks(METHODS)
    assert len({look.shape for look in found.values()}) == len(METHODS) >= 12
    for left, right in itertools.combinations(found.values(), 2):
        for eye in EYES:
            assert np.linalg.norm(lab(left.colour, eye) - lab(right.colour, eye)) > 15, (left, right, eye)


def test_ten_methods_from_outside_share_no_colour_with_each_other_or_with_shipped_ones():
    found = looks.looks([*METHODS, *(f"package.method_{number}" for number in range(10))])
    assert len({look.colour for look in found.values()}) == len(found)
    for left, right in itertools.combinations({look.colour for look in found.values()}, 2):
        assert np.linalg.norm(lab(left, "usual") - lab(right, "usual")) > 15


def test_many_methods_from_outside_have_looks_of_their_own_that_their_names_decide():
    outside = [f"package.method_{number}" for number in range(40)]
    found = looks.looks([*METHODS, *outside])
    assert len({(look.colour, look.shape, look.filled) for look in found.values()}) == len(found)
    assert looks.looks([*outside, *METHODS][::-1]) == found
    alone = looks.looks([outside[0]])[outside[0]]
    assert looks.looks(["lora", outside[0]])[outside[0]] == alone


def test_further_settings_of_a_method_differ_from_the_first_in_shade_marker_and_dash():
    known = looks.looks(["lora", "prefix"])
    found = looks.of_settings(["lora", "prefix", "lora", "lora", "lora"], known)
    assert found[:2] == [known["lora"], known["prefix"]]
    of_lora = [found[0], *found[2:]]
    assert len({(look.colour, look.shape) for look in of_lora}) == len({look.dash for look in of_lora}) == 4
    assert all(left.colour != right.colour for left, right in itertools.pairwise(of_lora))
