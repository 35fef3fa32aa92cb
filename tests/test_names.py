"""One path to each public name, and both ways in with the same ones."""

import importlib
import inspect
import subprocess
import sys

import pytest

import holdfast
import holdfast.sync
from holdfast.audit import AuditLog
from holdfast.audit import sync as audit_sync
from holdfast.cache import Cache, CachedRepository
from holdfast.cache import sync as cache_sync
from holdfast.records import sync as blocking
from holdfast.records.repository import Repository
from holdfast.records.store import Store

PACKAGES = [
    "holdfast",
    "holdfast.sync",
    "holdfast.records",
    "holdfast.records.migrations",
    "holdfast.objects",
    "holdfast.cache",
    "holdfast.cache.sync",
    "holdfast.audit",
    "holdfast.fastapi",
    "holdfast.hosts",
    "holdfast.jobs",
    "holdfast.media",
    "holdfast.models",
    "holdfast.webhooks",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_sorted_and_there(package):
    module = importlib.import_module(package)
    assert module.__all__ == sorted(
        module.__all__, key=lambda name: (not name.isupper(), name.islower(), name)
    )
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize(
    ("awaited", "stepped"),
    [
        (Repository, blocking.Repository),
        (Store, blocking.Store),
        (holdfast.Migrations, holdfast.sync.Migrations),
        (Cache, cache_sync.Cache),
        (CachedRepository, cache_sync.CachedRepository),
        (AuditLog, audit_sync.AuditLog),
    ],
)
def test_the_blocking_twin_has_the_same_methods_and_parameters(awaited, stepped):
    # what needs an event loop, and what blocking code does by itself
    left_out = {"check_model", "asynchronous", "run", "step", "coded", "warm", "listening"}
    ours = {name for name in vars_of(awaited) if not name.startswith("_")} - left_out
    theirs = {name for name in vars_of(stepped) if not name.startswith("_")} - left_out
    assert ours == theirs
    for name in ours:
        assert parameters(getattr(awaited, name)) == parameters(getattr(stepped, name)), name


def vars_of(cls):
    return {
        name
        for base in cls.__mro__[:-1]
        for name, value in vars(base).items()
        if inspect.isfunction(value)
    }


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("package", ["holdfast", "holdfast.sync", "holdfast.jobs"])
def test_what_is_slow_to_import_waits_until_it_is_used(package):
    program = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    slow = {
        b"pydantic",
        b"sqlalchemy",
        b"alembic",
        b"botocore",
        b"httptools",
        b"hiredis",
        b"fsspec",
        b"msgspec",
        b"holdfast.cache",
        b"holdfast.objects",
    }
    assert not slow & set(done.stdout.split())


def test_a_late_name_is_looked_up_once_and_an_unknown_one_is_said_so():
    program = (
        "import sys, holdfast; assert 'holdfast.cache' not in sys.modules;"
        "from holdfast import Cache; assert vars(holdfast)['Cache'] is Cache;"
        "assert 'Bucket' not in vars(holdfast);"
        "assert holdfast.Bucket is vars(holdfast)['Bucket']"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="module 'holdfast' has no attribute 'Bukket'"):
        _ = holdfast.Bukket


def test_no_public_name_is_shadowed_by_a_module_of_that_name():
    program = (
        "import importlib, pkgutil, types, holdfast\n"
        "names = {found.name for found in pkgutil.iter_modules(holdfast.__path__)}\n"
        "for name in names & set(holdfast.__all__):\n"
        "    importlib.import_module(f'holdfast.{name}')\n"
        "wrong = [name for name in holdfast.__all__\n"
        "         if isinstance(getattr(holdfast, name), types.ModuleType)]\n"
        "assert wrong == [], wrong\n"
        "assert holdfast.errors.NotFoundError and holdfast.records.Entity is holdfast.Entity\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
