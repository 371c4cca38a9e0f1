"""Nothing becomes public, or ceases to be, by accident."""

import json

import pytest

from tests.public_names import DEFINING, MODULES, SNAPSHOT, described, public_names

PROMISED = json.loads(SNAPSHOT.read_text("utf-8"))


@pytest.mark.parametrize("module", [*MODULES, *DEFINING])
def test_public_names_are_those_that_were_promised(module):
    found = public_names()[module]
    said = "; if that is meant, run python -m tests.public_names and say so in the changelog"
    assert sorted(found) == sorted(PROMISED[module]), f"names of {module}{said}"
    for name, what in found.items():
        assert what == PROMISED[module][name], f"{module}.{name}{said}"


def test_a_changed_argument_is_seen():
    def before(a, *, b=1): ...
    def after(a, *, c=1): ...

    assert described(before) == ["a", "b"] != described(after)


@pytest.mark.parametrize("module", MODULES)
def test_lists_of_names_are_without_doubles(module):
    import importlib

    names = importlib.import_module(module).__all__
    assert len(names) == len(set(names))
