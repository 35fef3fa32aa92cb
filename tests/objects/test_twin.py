"""The blocking twin has every method of the async bucket, with the same parameters."""

import inspect

import pytest

from holdfast.objects import Administration, Bucket, ObjectReader, sync


def methods(cls):
    return {
        name: member
        for base in cls.__mro__[:-1]
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }


def parameters(member):
    if isinstance(member, property):
        return []
    signature = inspect.signature(member)
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize(
    ("awaited", "stepped", "more"),
    [
        (Bucket, sync.Bucket, set()),
        (Administration, sync.Administration, set()),
        (ObjectReader, sync.ObjectReader, {"readable", "seekable"}),
    ],
)
def test_both_have_the_same_methods_and_parameters(awaited, stepped, more):
    ours, theirs = methods(awaited), methods(stepped)
    assert ours.keys() == theirs.keys() - more - {"step"}  # which runs what is stepped
    for name, member in ours.items():
        assert parameters(member) == parameters(theirs[name]), name
