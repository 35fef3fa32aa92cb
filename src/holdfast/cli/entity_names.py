"""Entities as the command line names them: `MODULE:NAME`, a class's name or its table's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from holdfast.records import Entity
    from holdfast.records.entities.model import Model


def imported_entities(name: str, *, given_by: str = "--entities") -> list[type]:
    """Return the entities that `module:NAME` stands for. Raises ConfigurationError.

    *given_by* is what was given the name: an option, or a setting.
    """
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise ConfigurationError(f"{given_by} {name!r}: expected MODULE:NAME, as in app.data:ALL")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except HoldfastError:  # a class that can't be an entity says so itself
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _leads_to(module, error.name):
            reason = f"there is no module {module!r}"
        elif isinstance(error, AttributeError) and error.name == attribute:
            reason = f"the module {module!r} has no {attribute!r}"
        else:
            reason = f"importing {module!r} raises {type(error).__name__}: {error}"
        raise ConfigurationError(f"{given_by} {name!r}: {reason}") from error
    finally:
        sys.path.pop(0)
    if isinstance(found, type):
        return [found]
    if isinstance(found, Iterable) and not isinstance(found, str):
        listed = list(cast("Iterable[object]", found))
        if all(isinstance(each, type) for each in listed):
            return cast("list[type]", listed)
    raise ConfigurationError(f"{given_by} {name!r}: expected an entity or a list of entities")


def _leads_to(module: str, missing: str | None) -> bool:
    """Return whether *missing* is *module* itself, or a package that it is said to be in."""
    return missing is not None and f"{module}.".startswith(f"{missing}.")


def entity_called(name: str, entities: Sequence[type]) -> type[Entity]:
    """Return that of *entities* whose class or table is called *name*, in any case.

    Raises ConfigurationError, which names those that there are.
    """
    from holdfast.records.entities.model import model_of

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
