"""What happens in the child of a fork: connections, threads and locks are begun afresh there.

A child inherits its parent's sockets, but two processes that read from one socket get each other's
answers; it inherits no threads but the one that forked, and every lock as it was then.
"""

from __future__ import annotations

import os
import weakref
from types import MethodType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_functions: list[Callable[[], None]] = []
_methods: dict[int, weakref.WeakMethod[MethodType]] = {}


def after_fork(call: Callable[[], None]) -> None:
    """Run *call* in the child of each later fork; a bound method, as long as its object lives.

    It runs before anything else does in the child, when no other thread is there, so it may
    replace locks. It must be quick, do no I/O, and raise nothing.
    """
    if not isinstance(call, MethodType):
        _functions.append(call)
        return

    def forget(gone: weakref.WeakMethod[MethodType]) -> None:
        _methods.pop(id(gone), None)

    reference = weakref.WeakMethod(call, forget)
    _methods[id(reference)] = reference


def _begin_afresh() -> None:
    for function in _functions:
        function()
    for reference in tuple(_methods.values()):
        method = reference()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # where nothing forks there is nothing to do
    os.register_at_fork(after_in_child=_begin_afresh)
