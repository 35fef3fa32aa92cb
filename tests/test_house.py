"""The house rules that a machine can hold: names, first lines, docstrings, typed signatures."""

import ast
import re
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "holdfast"
MODULES = sorted(SOURCE.rglob("*.py"))

# Modules whose name is a role: each pillar has one, and it means the same in each.
ROLES = {
    "connect",  # from a URL to an open thing
    "driver",  # the contract of backends, and in a driver's folder what fulfils it
    "options",  # what tunes a thing
    "sync",  # the blocking twin
    "harness",  # what a backend gives to the conformance suite
    "suite",  # the cases of the conformance suite
    # The names of backends, wherever something differs by backend.
    "memory",
    "sqlite",
    "postgresql",
    "mariadb",
    "mysql",
}
# Classes that are one thing seen twice: the blocking twin has the name of the awaited one.
TWINS = {
    "Administration",
    "AuditLog",
    "Bucket",
    "Cache",
    "CachedRepository",
    "HeldLock",
    "Links",
    "Migrations",
    "ObjectReader",
    "Outbox",
    "Repository",
    "RepositoryReads",
    "Store",
    "Transaction",
}


def name_of(path):
    return str(path.relative_to(SOURCE))


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def test_no_module_name_is_in_two_folders():
    folders = defaultdict(list)
    for path in MODULES:
        # A command's module has the command's name, whatever else is called so.
        if path.stem != "__init__" and path.parent.name != "commands":
            folders[path.stem].append(name_of(path))
    twice = {name: found for name, found in folders.items() if len(found) > 1}
    assert not {name: found for name, found in twice.items() if name not in ROLES}
    assert twice.keys() >= ROLES, "a role that no longer recurs leaves the list"


def test_no_class_name_is_defined_twice():
    places = defaultdict(list)
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name_of(path))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    foreign = {name: found for name, found in twice.items() if name not in TWINS | {"Driver"}}
    assert not foreign
    for name, found in twice.items():
        if name in TWINS:
            assert len([each for each in found if not each.endswith("sync.py")]) == 1, found
        else:
            assert all(each.endswith("/driver.py") for each in found), found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_begins_with_a_sentence(path):
    said = ast.get_docstring(tree_of(path))
    assert said, "a module says in its first line what it is"
    first = said.splitlines()[0]
    assert first[0].isupper() or not first[0].isalpha() or first[0] == "`", first
    assert first.endswith("."), first
    assert len(first) <= 100, first


@cache
def documented_contracts(room):
    """Return the names of methods that a Protocol of *room*, or below the rooms, documents."""
    found = set()
    for path in MODULES:
        if path.parent != SOURCE and path.relative_to(SOURCE).parts[0] != room:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and any(
                "Protocol" in ast.dump(b) for b in node.bases
            ):
                found |= {
                    each.name
                    for each in node.body
                    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and ast.get_docstring(each)
                }
    return found


def base_name(node):
    return ast.unparse(node).partition("[")[0]


def public(node, path=""):
    for each in node.body:
        if not isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if each.name.startswith("_") or has_decorator(each, "overload", "setter"):
            continue
        yield f"{path}{each.name}", each
        if isinstance(each, ast.ClassDef):
            yield from public(each, f"{each.name}.")


def has_decorator(node, *names):
    return any(ast.unparse(each).rpartition(".")[2] in names for each in node.decorator_list)


# A case of a conformance suite says what it proves in its name, as any test.
def test_a_module_that_is_named_in_the_text_of_another_is_beside_it_or_named_with_its_room():
    root = SOURCE.parents[1]
    known = [f"/{path.relative_to(root)}" for path in (*MODULES, *root.glob("benchmarks/*.py"))]
    lost = [
        (path.name, name)
        for path in MODULES
        for name in re.findall(r"`([\w/]+\.py)`", path.read_text(encoding="utf-8"))
        if not (path.parent / name).exists()
        and not ("/" in name and any(each.endswith(f"/{name}") for each in known))
    ]
    assert lost == []


DOCUMENTED = [path for path in MODULES if "conformance" not in path.parts]


@pytest.mark.parametrize("path", DOCUMENTED, ids=name_of)
def test_what_is_public_has_a_docstring(path):
    """What fulfils a contract has the contract's docstring; a twin has its original's."""
    contracts = documented_contracts(path.relative_to(SOURCE).parts[0])
    missing = [
        name
        for name, node in public(tree_of(path))
        if ast.get_docstring(node) is None
        and not ("." in name and node.name in contracts)
        and not any("documented_by" in ast.unparse(each) for each in node.decorator_list)
    ]
    assert not missing


@cache
def signatures_with_any():
    found = defaultdict(list)
    for path in MODULES:
        for name, node in public(tree_of(path)):
            if not isinstance(node, ast.ClassDef) and says_any(node):
                found[name_of(path)].append(name)
    return dict(found)


def says_any(function):
    given = function.args
    arguments = (
        *given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg
    )  # fmt: skip
    annotations = [each.annotation for each in arguments if each is not None]
    return any(
        isinstance(part, ast.Name) and part.id == "Any"
        for annotation in (*annotations, function.returns)
        if annotation is not None
        for part in ast.walk(annotation)
    )


def test_no_public_signature_says_any_but_for_a_reason():
    found = signatures_with_any()
    rooms = {
        name: signatures
        for name, signatures in found.items()
        if not name.startswith(tuple(SPEAKS_TO_SQLALCHEMY))
    }
    assert rooms == ALLOWED_ANY


# SQLAlchemy's own types are generic over what only its mapper knows: Column[Any], Table ...
SPEAKS_TO_SQLALCHEMY = ("integrations/sqlalchemy/", "records/drivers/sql/")
# What has no type that could be written down.
ALLOWED_ANY: dict[str, list[str]] = {
    # FastAPI's own type of what a route says of its answers.
    "fastapi/problems/problem_schema.py": ["problem_responses"],
    # A wrong value is what the case hands over.
    "objects/conformance/object_file_cases.py": [
        "ObjectFileCases.test_a_grant_that_no_server_honours_is_refused"
    ],
    # The shape of expressions of a library that the core does not name.
    "records/argument_types.py": ["MappedType.result_processor", "MappedRelationship.of_type"],
    # A field of any type, which is invariant.
    "records/entities/declaration.py": ["unique"],
    # Entities of any class at once; the callers' signatures are typed.
    "records/eager_loading.py": ["load_relations"],
    "records/entities/model_builder.py": ["build_model", "vocabulary"],
    "records/entities/constructor.py": ["constructor"],
    # What stands behind typed overloads.
    "records/entities/field.py": ["Field.truncated"],
    "records/expressions/expression.py": ["Expression.sum", "Expression.avg"],
    "records/entities/relation.py": ["Many.sum", "Many.avg", "Many.count_distinct"],
    "records/sync.py": ["RepositoryReads.select", "RepositoryReads.aggregate"],
    "records/value_reads.py": ["ValueReads.select", "ValueReads.aggregate"],
}


def imported(path):
    """Return the modules of ours that *path* names at its top, for the type checker or not."""
    found = set()
    parts = list(tree_of(path).body)
    for node in parts:
        if isinstance(node, ast.If):
            parts += [*node.body, *node.orelse]
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("holdfast."):
            places = [f"{node.module}.{each.name}" for each in node.names]
            found |= {each if module_file(each) else node.module for each in places}
    return found


def module_file(name):
    path = SOURCE.joinpath(*name.split(".")[1:])
    return next(
        (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None
    )


# A store hands out repositories, and a repository and its hooks hold their store; a model knows
# the index that its search is by.
ALLOWED_IMPORTS = {
    ("records/repository_reads.py", "holdfast.records.store"),
    ("records/hooked_writes.py", "holdfast.records.store"),
    ("records/search/indexed_session.py", "holdfast.records.store"),
    ("records/links.py", "holdfast.records.store"),
    ("records/write_hook.py", "holdfast.records.store"),
    ("records/search/search_build.py", "holdfast.records.store"),
    ("records/soft_deletion.py", "holdfast.records.store"),
    ("records/entities/model.py", "holdfast.records.entities.search_index"),
}


def test_no_imports_run_in_a_circle_not_even_for_the_type_checker():
    graph = {
        name_of(path): {
            name_of(module_file(name))
            for name in imported(path)
            if (name_of(path), name) not in ALLOWED_IMPORTS and module_file(name)
        }
        for path in MODULES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
