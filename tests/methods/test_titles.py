"""Names of methods for people."""

import pytest

from inducer_bench.methods.options import SHIPPED, method_title


def test_every_shipped_method_has_a_name_for_people_and_no_two_share_one():
    titles = [kind.title for kind in SHIPPED]
    assert all(titles)
    assert len(set(titles)) == len(SHIPPED)


@pytest.mark.parametrize(
    ("name", "title"),
    [("inducer_lora", "Inducer + LoRA"), ("some_package.ln_tuning", "Ln tuning"), ("gone", "Gone")],
)
def test_title_of_a_method_whose_module_is_gone_follows_from_its_name(name, title):
    assert method_title(name) == title
