"""Entities as the command line names them: `MODULE:NAME`, a class's name or its table's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.records import Entity
    from holdfast.records.model import Model


def imported_entities(name: str) -> list[type]:
    """Return the entities that `module:NAME` stands for. Raises ConfigurationError."""
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise ConfigurationError(f"--entities {name!r}: expected MODULE:NAME, as in app.data:ALL")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"--entities {name!r}: there is no module {module!r}") from error
    except AttributeError as error:
        if error.name != attribute:
            raise
        raise ConfigurationError(
            f"--entities {name!r}: the module {module!r} has no {attribute!r}"
        ) from error
    finally:
        sys.path.pop(0)
    if isinstance(found, type):
        return [found]
    if isinstance(found, Iterable) and not isinstance(found, str):
        listed = list(cast("Iterable[object]", found))
        if all(isinstance(each, type) for each in listed):
            return cast("list[type]", listed)
    raise ConfigurationError(f"--entities {name!r}: expected an entity or a list of entities")


def entity_called(name: str, entities: Sequence[type]) -> type[Entity]:
    """Return that of *entities* whose class or table is called *name*, in any case.

    Raises ConfigurationError, which names those that there are.
    """
    from holdfast.records.model import model_of

    for entity in entities:
        model: Model[object] = model_of(entity)
        if name.lower() in (entity.__name__.lower(), model.table.lower()):
            if model.adapter is not None:
                raise ConfigurationError(
                    f"{entity.__name__} is mapped by another library; expected a holdfast.Entity"
                )
            return cast("type[Entity]", entity)
    known = ", ".join(sorted(entity.__name__ for entity in entities))
    raise ConfigurationError(f"there is no entity {name!r}; there are: {known}")
