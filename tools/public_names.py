"""Writes the page of all public names: `python -m tools.public_names`.

What is said of a name is the first sentence of its docstring. Sources are parsed, not imported, so
the page is the same whatever extras are installed.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PAGE = ROOT / "docs" / "reference" / "names.md"

# Packages and modules from which programs import, in the order of the page.
PUBLIC = (
    "holdfast",
    "holdfast.sync",
    "holdfast.errors",
    "holdfast.records",
    "holdfast.records.options",
    "holdfast.records.migrations",
    "holdfast.records.migrations.operations",
    "holdfast.records.conformance",
    "holdfast.objects",
    "holdfast.objects.sync",
    "holdfast.objects.conformance",
    "holdfast.cache",
    "holdfast.cache.sync",
    "holdfast.cache.conformance",
    "holdfast.jobs",
    "holdfast.audit",
    "holdfast.audit.sync",
    "holdfast.access",
    "holdfast.access.gate",
    "holdfast.acting",
    "holdfast.webhooks",
    "holdfast.hosts",
    "holdfast.models",
    "holdfast.media",
    "holdfast.media.report",
    "holdfast.media.scene",
    "holdfast.media.vision",
    "holdfast.figures",
    "holdfast.fastapi",
    "holdfast.console",
    "holdfast.platform",
    "holdfast.settings",
    "holdfast.domain",
    "holdfast.metrics",
    "holdfast.correlation",
    "holdfast.testing",
    "holdfast.integrations.sqlalchemy",
    "holdfast.integrations.sqlalchemy.sync",
    "holdfast.integrations.queues",
    "holdfast.integrations.mlflow.database_import",
)

HEAD = """\
# The public API on one page

Every name that programs import, by the package that they import it from, with the first sentence
of its docstring. What stands here is what [versions](../explanation/versions.md) keep; a name that
does not is the library's own. A name is described where it comes first, and only named where
another package has it too. Signatures are on the pages of the [reference](index.md); the methods of
a repository, a store, a bucket and a cache on [Records on one page](records.md) and
[Verbs of the three pillars](pillars.md). Who [writes a backend](../write-a-backend.md) imports the
contracts of drivers besides.

<!-- python -m tools.public_names writes this page, and a test compares it with the sources -->
"""


class UndocumentedNameError(Exception):
    """A public name of which its source says nothing, or that is not there."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a name is defined, and the first sentence about it."""

    path: str
    sentence: str


def file_of(module: str) -> Path:
    """Return the file of *module*, which may be a package."""
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def body_of(module: str) -> tuple[ast.stmt, ...]:
    """Return the statements of *module*, those inside `if`, `with` and `try` among them."""

    def flat(body: list[ast.stmt]) -> list[ast.stmt]:
        found = []
        for each in body:
            found.append(each)
            if isinstance(each, (ast.If, ast.With, ast.Try)):
                found += flat(each.body)
            if isinstance(each, ast.If):
                found += flat(each.orelse)
        return found

    return tuple(flat(ast.parse(file_of(module).read_text(encoding="utf-8")).body))


def exports(module: str) -> list[str]:
    """Return the names of `__all__`; of a module without it, what it defines for others."""
    defined = []
    for each in body_of(module):
        match each:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                names: list[str] = ast.literal_eval(value)
                return names
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ) if not name.startswith("_"):
                defined.append(name)
            case _:
                pass
    return sorted(set(defined))


def definition(module: str, name: str) -> Definition:
    """Return what *name* of *module* is, wherever it was imported from.

    Raises UndocumentedNameError.
    """
    body = body_of(module)
    text = None
    for each, after in zip(body, (*body[1:], None), strict=True):
        match each:
            case ast.ImportFrom(module=str(source), names=names):
                for alias in names:
                    if (alias.asname or alias.name) == name and source.startswith("holdfast"):
                        return definition(source, alias.name)
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if each.name == name:
                if any("documented_by(" in ast.unparse(by) for by in each.decorator_list):
                    return Definition(
                        f"{module}.{name}", definition(module.removesuffix(".sync"), name).sentence
                    )
                text = ast.get_docstring(each) or text  # overloads have none
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ) if target == name:
                match after:
                    case ast.Expr(value=ast.Constant(value=str(said))):
                        text = said
                    case _:
                        pass
            case _:
                pass
    if text is None:
        message = f"{module}.{name}: no docstring"
        raise UndocumentedNameError(message)
    return Definition(f"{module}.{name}", first_sentence(text))


def first_sentence(text: str) -> str:
    """Return the first sentence of a docstring, as a cell of a table."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.:])\s(?=[A-Z`*])", paragraph)[0]
    return sentence.rstrip(".:").replace("|", "\\|")


def names_page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    described: dict[str, str] = {}  # where a definition lies, and the package that tells of it
    for module in PUBLIC:
        docstring = ast.get_docstring(ast.Module([*body_of(module)], []))
        rows, again = [], []
        for name in exports(module):
            found = definition(module, name)
            if found.path in described:
                again.append(f"`{name}`")
            else:
                described[found.path] = module
                rows.append(f"| `{name}` | {found.sentence} |")
        parts.append(f"## {module}\n\n{first_sentence(docstring or '')}.\n")
        if again:
            parts.append(f"Described above: {', '.join(again)}.\n")
        if rows:
            parts.append("\n".join(["| name | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(names_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
