"""The blocking twin has every name of the async API, with the same parameters."""

import inspect

import pytest

from holdfast.records import Repository, Store, Transaction, sync

PAIRS = ((Repository, sync.Repository), (Store, sync.Store), (Transaction, sync.Transaction))


def public(cls):
    return {
        name: value
        for name, value in inspect.getmembers(cls)
        if not name.startswith("_") and inspect.isfunction(value)
    }


@pytest.mark.parametrize(("asynchronous", "blocking"), PAIRS, ids=lambda each: each.__module__)
def test_no_name_is_missing(asynchronous, blocking):
    scope = {"check", "check_life", "ending", "enter_context", "leave_context", "forgotten"}
    internal = {"check_model", "lend_to", "listening", *scope}  # one listens in an event loop
    assert set(public(asynchronous)) - internal <= set(public(blocking))


@pytest.mark.parametrize("name", sorted(set(public(sync.Repository)) - {"step"}))
def test_a_verb_takes_the_same_parameters(name):
    theirs = inspect.signature(public(Repository)[name]).parameters.values()
    ours = inspect.signature(public(sync.Repository)[name]).parameters.values()
    assert [(each.name, each.kind, each.default) for each in ours] == [
        (each.name, each.kind, each.default) for each in theirs
    ]


@pytest.mark.parametrize("name", sorted(public(sync.Repository)))
def test_no_blocking_verb_is_a_coroutine(name):
    assert not inspect.iscoroutinefunction(public(sync.Repository)[name])
