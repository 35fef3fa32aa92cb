"""Which domains are switched on: by the setting, by value, and by entry points of packages."""

from __future__ import annotations

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from holdfast.domain import Domain
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.settings import Settings

ENTRY_POINTS = "holdfast.domains"
"""The group of entry points by which an installed package brings a domain."""

_BUILT_IN = {
    "access": ("holdfast.access.access_domain", "ACCESS"),
    "audit": ("holdfast.audit.audit_domain", "AUDIT"),
    "figures": ("holdfast.figures.figures_domain", "FIGURES"),
    "hosts": ("holdfast.hosts.hosts_domain", "HOSTS"),
    "jobs": ("holdfast.jobs.jobs_domain", "JOBS"),
    "models": ("holdfast.models.models_domain", "MODELS"),
    "webhooks": ("holdfast.webhooks.webhooks_domain", "WEBHOOKS"),
    "media": ("holdfast.media.media_domain", "MEDIA"),
}


def select_domains(names: Iterable[str], given: Iterable[Domain] = ()) -> tuple[Domain, ...]:
    """Return the domains called *names*, and those *given* by value, each behind what it requires.

    Raises ConfigurationError for a name that nobody knows, a domain that is there twice or lacks
    one that it requires, requirements in a circle, and an entity that two domains bring.
    """
    chosen: dict[str, Domain] = {}
    for domain in given:
        if not isinstance(domain, Domain):
            raise ConfigurationError(f"domains: expected Domain values, got {domain!r}")
        if domain.name in chosen or domain.name in _BUILT_IN:
            raise ConfigurationError(f"the domain {domain.name!r} is there twice")
        chosen[domain.name] = domain
    for name in dict.fromkeys(names):
        if name not in chosen:
            chosen[name] = domain_named(name, known=chosen)
    _check_entities(chosen.values())
    return tuple(chosen[name] for name in _ordered(chosen))


def platform_entities(settings: Settings, given: Iterable[Domain] = ()) -> tuple[type, ...]:
    """Return the entities in the store of a platform with *settings*; see `select_domains`."""
    return tuple(
        entity for domain in select_domains(settings.domains, given) for entity in domain.entities
    )


def domain_named(name: str, *, known: Iterable[str] = ()) -> Domain:
    """Return the built-in domain called *name*, or that of an installed package.

    Raises ConfigurationError when there is none, or more than one; *known* are named there too.
    """
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        return _checked(name, getattr(import_module(module), attribute))
    found = list(entry_points(group=ENTRY_POINTS, name=name))
    if not found:
        installed = {each.name for each in entry_points(group=ENTRY_POINTS)}
        names = ", ".join(sorted({*_BUILT_IN, *installed, *known}))
        raise ConfigurationError(
            f"the setting domains names {name!r}, which is none; known are: {names}. A package "
            f"brings one by an entry point of the group {ENTRY_POINTS}"
        )
    if len({each.value for each in found}) > 1:
        values = " and ".join(sorted({each.value for each in found}))
        raise ConfigurationError(f"the domain {name!r} is there twice: {values}")
    try:
        return _checked(name, found[0].load())
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the domain {name!r} can't be loaded from {found[0].value}: {error}"
        ) from error


def _checked(name: str, found: object) -> Domain:
    if not isinstance(found, Domain):
        raise ConfigurationError(f"the domain {name!r}: expected a Domain, got {found!r}")
    if found.name != name:
        raise ConfigurationError(f"the domain {name!r} calls itself {found.name!r}")
    return found


def _ordered(chosen: Mapping[str, Domain]) -> tuple[str, ...]:
    for domain in chosen.values():
        lacking = [name for name in domain.requires if name not in chosen]
        if lacking:
            raise ConfigurationError(
                f"the domain {domain.name} requires {' and '.join(lacking)}, which is not "
                "switched on: add it to the setting domains"
            )
    graph = {name: chosen[name].requires for name in chosen}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigurationError(f"domains that require one another: {circle}") from None


def _check_entities(domains: Iterable[Domain]) -> None:
    owners: dict[type, list[str]] = defaultdict(list)
    for domain in domains:
        for entity in domain.entities:
            owners[entity].append(domain.name)
    for entity, names in owners.items():
        if len(names) > 1:
            raise ConfigurationError(
                f"the domains {' and '.join(names)} both bring {entity.__name__}"
            )
