"""Public names that are imported when they are first used: nobody pays for a pillar unused."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def late_names(
    module: str, homes: Mapping[str, tuple[str, ...]], *, modules: tuple[str, ...] = ()
) -> Callable[[str], object]:
    """Return a `__getattr__` (PEP 562) for *module*, by which it has the names of *homes*.

    *homes* tells the modules, and which names come from each; *modules* are inside *module*, and
    imported when they are first named. A name is looked up once; then it is the module's own, at
    the speed of any other. Type checkers are told by imports under TYPE_CHECKING beside it.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> object:
        if name in modules:
            return import_module(f"{module}.{name}")
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found: object = getattr(import_module(home), name)
        setattr(sys.modules[module], name, found)
        return found

    return find
