"""What is asked of a registry: which versions are there, what a reference means, lineage."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from uuid import UUID

from holdfast.errors import NotFoundError
from holdfast.models.alias_history import AliasHistory
from holdfast.models.model_entities import (
    LinkKind,
    ModelVersion,
    RegisteredModel,
    VersionFile,
    VersionLink,
)
from holdfast.models.model_reference import check_alias, check_model_name, parse_reference
from holdfast.models.semantic_version import version_range
from holdfast.models.version_details import flat
from holdfast.models.version_search import VersionFinder, VersionSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from holdfast.models.model_entities import AliasMove, ModelAlias
    from holdfast.models.model_reference import ModelReference
    from holdfast.records import Page, Store

_EVERYTHING = VersionSearch()
_MOST_KIN = 1_000


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """What differs between two versions: by name, what the first and the second have (or None)."""

    metrics: Mapping[str, tuple[object, object]]
    config: Mapping[str, tuple[object, object]]
    tags: Mapping[str, tuple[object, object]]
    files: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class LineageVersion:
    """A version in another's lineage: how many steps away, and its *label*, as `vehicles:3`.

    *version* is None for one that was deleted.
    """

    steps: int
    label: str
    version: ModelVersion | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from and what came of it: the nearest first.

    *datasets* and *jobs* are its own, by name and id.
    """

    ancestors: tuple[LineageVersion, ...]
    descendants: tuple[LineageVersion, ...]
    datasets: tuple[str, ...]
    jobs: tuple[str, ...]


class RegistryReads:
    """What can be asked of the models of a store; `ModelRegistry` inherits it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.models = store.repository(RegisteredModel)
        self._versions = store.repository(ModelVersion)
        self._files = store.repository(VersionFile)
        self._links = store.repository(VersionLink)
        self._finder = VersionFinder(store)
        self._history = AliasHistory(store)

    async def model(self, name: str) -> RegisteredModel:
        """Return the model called *name*. Raises NotFoundError."""
        found = await self.models.first(RegisteredModel.name == check_model_name(name))
        if found is None:
            raise NotFoundError(
                "RegisteredModel", name, hint="`holdfast models list` lists what is there"
            )
        return found

    async def list(self, *, size: int = 50, cursor: str | None = None) -> Page[RegisteredModel]:
        """Return a page of the models, by name."""
        return await self.models.page(order_by=RegisteredModel.name.asc(), size=size, cursor=cursor)

    async def versions(
        self, name: str, *, size: int = 50, cursor: str | None = None
    ) -> Page[ModelVersion]:
        """Return a page of the model's versions, the newest first. Raises NotFoundError."""
        model = await self.model(name)
        return await self._versions.page(
            ModelVersion.model_id == model.id,
            order_by=ModelVersion.number.desc(),
            size=size,
            cursor=cursor,
        )

    async def search(
        self, search: VersionSearch = _EVERYTHING, *, name: str | None = None
    ) -> Sequence[ModelVersion]:
        """Return the versions that fit *search*, of the model *name* or of all.

        By indexes alone: one that few versions fit costs the same however many there are. Where
        each condition alone fits thousands and all together nearly none, the order is walked.
        Raises InvalidQueryError, and NotFoundError for the model.
        """
        model = None if name is None else (await self.model(name)).id
        return await self._finder.find(search, model)

    async def get(self, version_id: UUID) -> ModelVersion | None:
        """Return the version with that id, None when there is none."""
        return await self._versions.get(version_id)

    async def resolve(self, reference: str, *, at: datetime | None = None) -> ModelVersion:
        """Return the version that *reference* means now, or meant *at* a time.

        `name` and `name:latest` are the newest version, `name@prod` where the alias points,
        `name:7` a number, `name:2.1.0` a semantic version, `name:^2.1` the greatest in a range,
        `sha256:...` the newest whose manifest, or only file, has that digest. Deprecated versions
        are found by all but ranges and the newest. Raises NotFoundError, InvalidValueError.
        """
        asked = parse_reference(reference)
        found = await self._resolved(asked, at)
        if found is None or (at is not None and found.created_at > at):
            when = "" if at is None else f"nothing was there at {at.isoformat()}"
            raise NotFoundError("ModelVersion", reference, hint=when)
        return found

    async def files(self, version: ModelVersion) -> Sequence[VersionFile]:
        """Return the files of *version* by path."""
        return await self._files.find(
            VersionFile.version_id == version.id, order_by=VersionFile.path.asc()
        )

    async def aliases(self, name: str) -> Sequence[ModelAlias]:
        """Return the aliases of the model that point at a version. Raises NotFoundError."""
        return await self._history.aliases(await self.model(name))

    async def history(self, name: str, alias: str) -> Sequence[AliasMove]:
        """Return all moves of the alias, the last one first. Raises NotFoundError."""
        found = await self._history.alias(await self.model(name), check_alias(alias))
        return [] if found is None else await self._history.moves(found)

    async def compare(self, first: ModelVersion, second: ModelVersion) -> VersionDiff:
        """Return what differs between two versions, each path of the configuration by itself."""
        one, other = await self.files(first), await self.files(second)
        return VersionDiff(
            _difference(first.metrics, second.metrics),
            _difference(dict(flat(first.config)), dict(flat(second.config))),
            _difference(first.tags, second.tags),
            _difference(
                {each.path: each.sha256 for each in one}, {each.path: each.sha256 for each in other}
            ),
        )

    async def lineage(self, version: ModelVersion) -> Lineage:
        """Return what *version* comes from and what was made of it, through all generations."""
        own = await self._links.find(VersionLink.version_id == version.id)
        return Lineage(
            await self._ancestors(version),
            await self._descendants(version),
            tuple(sorted(each.label for each in own if each.kind is LinkKind.DATASET)),
            tuple(sorted(each.label for each in own if each.kind is LinkKind.JOB)),
        )

    async def made_from(self, kind: LinkKind, target: str) -> Sequence[ModelVersion]:
        """Return the versions that come from the dataset, job or parent *target*, oldest first."""
        links = await self._links.find(VersionLink.kind == kind, VersionLink.target == target)
        found = await self._versions.get_many(sorted({each.version_id for each in links}))
        return [each for each in found if each is not None]

    async def label(self, version: ModelVersion) -> str:
        """Return how people call *version*: the model's name and the number."""
        return (await self.labels([version]))[0]

    async def labels(self, versions: Sequence[ModelVersion]) -> Sequence[str]:
        """Return how people call each of *versions*, by one query for all."""
        ids = sorted({version.model_id for version in versions})
        names = dict(zip(ids, await self.models.get_many(ids), strict=True))
        return [
            f"{model.name if (model := names[version.model_id]) else '?'}:{version.number}"
            for version in versions
        ]

    async def _resolved(self, asked: ModelReference, at: datetime | None) -> ModelVersion | None:
        if asked.kind == "digest":
            return await self._of_digest(asked.value, at)
        model = await self.model(asked.name)
        of_model = ModelVersion.model_id == model.id
        early = () if at is None else (ModelVersion.created_at <= at,)
        good = ModelVersion.deprecated_at.is_null()
        if at is not None:
            good |= ModelVersion.deprecated_at > at
        match asked.kind:
            case "newest":
                return await self._versions.first(
                    of_model, good, *early, order_by=ModelVersion.number.desc()
                )
            case "number":
                return await self._versions.first(of_model, ModelVersion.number == int(asked.value))
            case "semantic":
                return await self._versions.first(of_model, ModelVersion.precedence == asked.value)
            case "range":
                wanted = version_range(asked.value)
                inside = ModelVersion.precedence >= wanted.lowest
                if wanted.above is not None:
                    inside &= ModelVersion.precedence < wanted.above
                return await self._versions.first(
                    of_model & (ModelVersion.stable == True) & inside,  # noqa: E712
                    good,
                    *early,
                    order_by=ModelVersion.precedence.desc(),
                )
            case "alias":
                return await self._pointed_at(model, asked.value, at)
            case _:
                assert_never(asked.kind)

    async def _of_digest(self, digest: str, at: datetime | None) -> ModelVersion | None:
        early = () if at is None else (ModelVersion.created_at <= at,)
        found = await self._versions.first(
            ModelVersion.digest == digest, *early, order_by=ModelVersion.id.desc()
        )
        if found is not None:
            return found
        async for file in self._files.stream(
            VersionFile.sha256 == digest, order_by=VersionFile.id.desc()
        ):
            version = await self._versions.get(file.version_id)
            if (
                version is not None
                and version.files == 1
                and (at is None or version.created_at <= at)
            ):
                return version
        return None

    async def _pointed_at(
        self, model: RegisteredModel, name: str, at: datetime | None
    ) -> ModelVersion | None:
        alias = await self._history.alias(model, name)
        if alias is None:
            return None
        if at is None:
            return None if alias.version_id is None else await self._versions.get(alias.version_id)
        move = await self._history.move_at(alias, at)
        if move is None or move.to_number is None:
            return None
        found = await self._versions.first(
            ModelVersion.model_id == model.id, ModelVersion.number == move.to_number
        )
        if found is None:
            raise NotFoundError(
                "ModelVersion", f"{model.name}:{move.to_number}", hint="it was deleted since"
            )
        return found

    async def _ancestors(self, version: ModelVersion) -> tuple[LineageVersion, ...]:
        found: dict[str, LineageVersion] = {}
        waiting = deque([(1, version.id)])
        while waiting and len(found) < _MOST_KIN:
            steps, identity = waiting.popleft()
            links = await self._links.find(
                VersionLink.version_id == identity, VersionLink.kind == LinkKind.PARENT
            )
            for link in links:
                if link.target not in found:
                    parent = await self._versions.get(UUID(link.target))
                    found[link.target] = LineageVersion(steps, link.label, parent)
                    waiting.append((steps + 1, UUID(link.target)))
        return tuple(found.values())

    async def _descendants(self, version: ModelVersion) -> tuple[LineageVersion, ...]:
        found: dict[UUID, LineageVersion] = {}
        waiting = deque([(1, version.id)])
        while waiting and len(found) < _MOST_KIN:
            steps, identity = waiting.popleft()
            children = await self.made_from(LinkKind.PARENT, str(identity))
            for child, label in zip(children, await self.labels(children), strict=True):
                if child.id not in found:
                    found[child.id] = LineageVersion(steps, label, child)
                    waiting.append((steps + 1, child.id))
        return tuple(found.values())


def _difference(
    first: Mapping[str, object], second: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    return {
        name: (first.get(name), second.get(name))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    }
