"""The files of one folder, looked at before any of them is followed."""

from __future__ import annotations

from collections import Counter
from types import ModuleType
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory
from alembic.util import to_tuple

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import RevisionStep
    from alembic.script import Script


class ScriptFolder(ScriptDirectory):
    """Alembic's folder, where a file that can't be followed is refused by its name."""

    def _load_revisions(self) -> Iterator[Script]:
        found = list(super()._load_revisions())
        counted = Counter(each.revision for each in found)
        known = {*counted, *(label for each in found for label in each.branch_labels)}
        for each in found:
            if counted[each.revision] > 1:
                raise ConfigurationError(f"{each.path}: another file is {each.revision!r} as well")
            for name, followed in (
                ("down_revision", each.down_revision),
                ("depends_on", each.dependencies),
            ):
                missing = sorted({*to_tuple(followed, default=())} - known)
                if missing:
                    raise ConfigurationError(
                        f"{each.path}: its {name} is {missing[0]!r}, and no file beside it is that"
                    )
            _check_function(each.module, "upgrade")
        yield from found

    def _downgrade_revs(self, destination: str, current_rev: str | None) -> list[RevisionStep]:
        try:
            return super()._downgrade_revs(destination, current_rev)
        except AttributeError as error:
            if isinstance(error.obj, ModuleType):
                _check_function(error.obj, "downgrade")
            raise


def _check_function(module: ModuleType, name: str) -> None:
    if not callable(getattr(module, name, None)):
        raise ConfigurationError(f"{module.__file__} has no function {name}()")
