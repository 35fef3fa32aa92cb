"""What is to be done once a transaction is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.scope import TransactionScope

Callback = Callable[[], Awaitable[object]]


class Callbacks:
    """The callbacks of one transaction, in the order in which its scopes added them."""

    def __init__(self) -> None:
        self._added: list[tuple[Callback, TransactionScope]] = []

    def add(self, callback: Callback, scope: TransactionScope) -> None:
        """Run *callback* at the end, unless *scope* is undone."""
        self._added.append((callback, scope))

    def move(self, ended: Sequence[TransactionScope], around: TransactionScope) -> None:
        """Let what the *ended* scopes added belong to the one *around* them."""
        self._added = [
            (callback, around if scope in ended else scope) for callback, scope in self._added
        ]

    def drop(self, undone: Sequence[TransactionScope]) -> None:
        """Forget what the *undone* scopes added."""
        self._added = [(callback, scope) for callback, scope in self._added if scope not in undone]

    async def run(self) -> None:
        """Await each, also when one before it raises; then raise what they raised."""
        errors: list[Exception] = []
        stopped: BaseException | None = None
        for callback, _ in self._added:
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
