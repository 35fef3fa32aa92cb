"""A domain: one folder's entities, service, job handlers, routes, commands and health in a value.

The platform assembles the domains that are switched on; a user's own plugs in as the built-in ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from fastapi import APIRouter
    from typer import Typer

    from holdfast.cache import Cache
    from holdfast.health import Health
    from holdfast.objects import Bucket
    from holdfast.records import Store

    JobHandler: TypeAlias = Callable[..., object]

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class RoleBucket:
    """The bucket that a role uses, and the *prefix* that its keys have in there.

    A role with a bucket of its own has no prefix.
    """

    bucket: Bucket
    prefix: str = ""

    def key(self, name: str) -> str:
        """Return the key in the bucket of what the role calls *name*."""
        return f"{self.prefix}{name}"


@dataclass(frozen=True, slots=True)
class DomainParts:
    """What a domain is made of when the platform opens: the pillars, and the services before it.

    *buckets* are by role: `video`, `models`, `logs`. *folder* is where temporary files belong,
    and is not made yet. *services* are those of the domains that it requires, by domain.
    *detector* and *model_keys* are the settings of these names: what videos are looked at with,
    and the file of the keys by which models must be signed.
    """

    store: Store
    cache: Cache[object]
    buckets: Mapping[str, RoleBucket]
    folder: Path
    services: Mapping[str, object] = field(default_factory=dict)
    detector: str = "motion"
    model_keys: Path | None = None

    def service(self, kind: type[T]) -> T:
        """Return the open service that is a *kind*. Raises ConfigurationError when none is."""
        for service in self.services.values():
            if isinstance(service, kind):
                return service
        names = ", ".join(self.services) or "none"
        raise ConfigurationError(
            f"no domain that is open has a {kind.__name__}; open are: {names}. A domain whose "
            "service another one uses stands in its `requires`, and in the setting domains"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What one domain brings; all but the *name* is optional.

    *requires* are the names of domains that are opened before it and closed after it. *entities*
    live in the platform's store. *service* returns what opens the domain's service, to be entered
    by `async with`, and closes it: `contextlib.nullcontext(X(parts.store))` when there is nothing
    to close. *handlers* returns what a worker can do, by task. *routes* returns a router of
    FastAPI, *commands* a Typer, added to the command line by the domain's name. *health* probes
    what the domain depends on beyond the pillars, which are probed in any case.
    """

    name: str
    requires: tuple[str, ...] = ()
    entities: tuple[type, ...] = ()
    service: Callable[[DomainParts], AbstractAsyncContextManager[object]] | None = None
    handlers: Callable[[DomainParts], Mapping[str, JobHandler]] | None = None
    routes: Callable[[DomainParts], APIRouter] | None = None
    commands: Callable[[], Typer] | None = None
    health: Callable[[DomainParts], Awaitable[Health]] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"a domain's name {self.name!r}: expected small letters, digits, _ and -, at most "
                "63, the first of them a letter"
            )
        for name in ("requires", "entities"):
            if not isinstance(getattr(self, name), tuple):
                raise ConfigurationError(
                    f"the domain {self.name}: {name}: expected a tuple, "
                    f"got {type(getattr(self, name)).__name__}"
                )
