"""What is to be done once a transaction is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Coroutine, Sequence

    from holdfast.records.transactions.scope import TransactionScope

Callback = Callable[[], Awaitable[object]]

_unfinished: set[Task[None]] = set()
"""What goes on without the task that began it, which nobody else would keep."""


async def finished(work: Coroutine[object, None, None]) -> None:
    """Do *work* to its end, also when the caller is cancelled and stops waiting for it.

    So what is to be done after a commit is done whenever there was one.
    """
    import asyncio  # noqa: PLC0415 - slow to import, and needed by tasks alone

    task = asyncio.create_task(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    await asyncio.shield(task)


class Callbacks:
    """The callbacks of one transaction, in the order in which its scopes added them."""

    def __init__(self) -> None:
        self.added: list[tuple[Callback, TransactionScope]] = []

    def add(self, callback: Callback, scope: TransactionScope) -> None:
        """Run *callback* at the end, unless *scope* is undone."""
        self.added.append((callback, scope))

    def move(self, ended: Sequence[TransactionScope], around: TransactionScope) -> None:
        """Let what the *ended* scopes added belong to the one *around* them."""
        self.added = [
            (callback, around if scope in ended else scope) for callback, scope in self.added
        ]

    def drop(self, undone: Sequence[TransactionScope]) -> None:
        """Forget what the *undone* scopes added."""
        self.added = [(callback, scope) for callback, scope in self.added if scope not in undone]

    async def run(self) -> None:
        """Await each, also when one before it raises; then raise what they raised."""
        errors: list[Exception] = []
        stopped: BaseException | None = None
        for callback, _ in self.added:
            try:
                await callback()
            except Exception as error:  # noqa: BLE001 - raised below, when all have had their turn
                errors.append(error)
            except BaseException as error:  # noqa: BLE001 - cancelled: the same
                stopped = stopped or error
        if stopped is not None:
            raise stopped
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several callbacks failed after the commit", errors)
