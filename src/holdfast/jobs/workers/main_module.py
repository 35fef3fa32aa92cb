"""The program's main module: child processes import it as a file, for the handlers in it.

As with `multiprocessing`, what it does when it is run stands under `if __name__ == "__main__":`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.jobs.workers.handler import Handler

_IMPORTED = "__mp_main__"  # its name in a child, as multiprocessing has it


def main_path_for(task: str, handler: Handler) -> str | None:
    """Return the path of the main module when *handler* is in it, else None.

    Raises ConfigurationError for one that is in a main module without a file.
    """
    if getattr(handler, "__module__", None) != "__main__":
        return None
    path = getattr(sys.modules["__main__"], "__file__", None)
    if path is None:
        raise ConfigurationError(
            f"the handler of {task!r} can't be sent to a process: it is in a main module that "
            "is no file; move it into a module"
        )
    return str(path)


def import_main(path: str) -> None:
    """Import the main module of another process from *path*, once, as this one's main module."""
    from multiprocessing.spawn import import_main_path  # noqa: PLC0415 - for a child alone

    if sys.modules["__main__"].__name__ != _IMPORTED:
        import_main_path(path)


def check_not_imported() -> None:
    """Raise ConfigurationError while a child process imports the main module of its worker."""
    imported = sys.modules.get(_IMPORTED)  # also another name of the main module itself
    if (
        imported is not None
        and imported.__name__ == _IMPORTED
        and imported is not sys.modules["__main__"]
    ):
        raise ConfigurationError(
            "the main module makes a worker when a child process imports it for a handler; put "
            'what it runs under `if __name__ == "__main__":`'
        )
