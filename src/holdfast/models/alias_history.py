"""Aliases of models: moved by compare-and-set, with every move kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from holdfast.acting import acting
from holdfast.errors import (
    ConflictError,
    DuplicateError,
    ForeignKeyError,
    GateError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
    SerializationError,
    UnavailableError,
)
from holdfast.models.model_entities import (
    AliasMove,
    ModelAlias,
    ModelVersion,
    RegisteredModel,
)
from holdfast.models.model_reference import check_alias
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.models.metric_gate import MetricGate
    from holdfast.records import Store

_ATTEMPTS = 100


class AnyVersion(Enum):
    """What stands for "wherever the alias points" in a promotion."""

    ANY = "any"


Expected = int | None | Literal[AnyVersion.ANY]
"""The number of the version that an alias points at; None: at none; ANY: whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOptions:
    """How an alias is moved: *reason* is kept with the move.

    Only if it points at *expected*, and if all *gates* let the version pass.
    """

    reason: str = ""
    expected: Expected = AnyVersion.ANY
    gates: tuple[MetricGate, ...] = ()


_PLAIN = MoveOptions()


class AliasHistory:
    """The aliases of a store, and where each pointed when.

    A move is one transaction: the alias, guarded by its revision, and the entry in the history.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models = store.repository(RegisteredModel)
        self._aliases = store.repository(ModelAlias)
        self._moves = store.repository(AliasMove)
        self._versions = store.repository(ModelVersion)

    async def alias(self, model: RegisteredModel, name: str) -> ModelAlias | None:
        """Return the alias of *model* called *name*, None when there never was one."""
        return await self._aliases.first(ModelAlias.model_id == model.id, ModelAlias.name == name)

    async def aliases(self, model: RegisteredModel) -> list[ModelAlias]:
        """Return the aliases of *model* that point at a version, by name."""
        return await self._aliases.find(
            ModelAlias.model_id == model.id,
            ~ModelAlias.version_id.is_null(),
            order_by=ModelAlias.name.asc(),
        )

    async def moves(self, alias: ModelAlias) -> list[AliasMove]:
        """Return all moves of *alias*, the last one first."""
        return await self._moves.find(
            AliasMove.alias_id == alias.id, order_by=AliasMove.number.desc()
        )

    async def move_at(self, alias: ModelAlias, time: datetime) -> AliasMove | None:
        """Return the move of *alias* that was in force at *time*, None before the first."""
        return await self._moves.first(
            AliasMove.alias_id == alias.id,
            AliasMove.moved_at <= time,
            order_by=(AliasMove.moved_at.desc(), AliasMove.number.desc()),
        )

    async def move(
        self,
        model: RegisteredModel,
        name: str,
        version: ModelVersion | None,
        options: MoveOptions = _PLAIN,
    ) -> AliasMove:
        """Point the alias *name* at *version*, at none for None, and return the move.

        Of several at once that expect the same, one succeeds; those that expect nothing follow
        one another. Raises PreconditionFailedError when it does not point at what is expected,
        GateError when a gate refuses, and then nothing was changed.
        """
        check_alias(name)
        check_kind(options, MoveOptions)
        for _ in range(_ATTEMPTS):
            alias = await self._there(model, name)
            current = await self._current(alias)
            self._check(model, alias, current, options)
            _check_gates(model, version, current, options.gates)
            try:
                return await self._write(alias, current, version, options)
            except _MovedMeanwhileError:
                continue
        raise UnavailableError(f"{model.name}@{name} is moved by others again and again")

    async def roll_back(
        self, model: RegisteredModel, name: str, options: MoveOptions = _PLAIN
    ) -> AliasMove:
        """Point the alias where it pointed before the move in force, and return the new move.

        Again goes one further back. Raises NotFoundError when there is nothing to go back to, or
        that version was deleted; and PreconditionFailedError as `move` does.
        """
        check_kind(options, MoveOptions)
        for _ in range(_ATTEMPTS):
            alias = await self.alias(model, name)
            if alias is None:
                raise NotFoundError("ModelAlias", f"{model.name}@{name}")
            current = await self._current(alias)
            self._check(model, alias, current, options)
            in_force = await self._numbered(alias, alias.moves)
            back = await self._numbered(alias, in_force.falls_back_to) if in_force else None
            if back is None or back.to_number is None:
                raise NotFoundError(
                    "AliasMove", f"{model.name}@{name}", hint="there is nothing to go back to"
                )
            version = await self._versions.first(
                ModelVersion.model_id == model.id, ModelVersion.number == back.to_number
            )
            if version is None:
                raise NotFoundError(
                    "ModelVersion", f"{model.name}:{back.to_number}", hint="it was deleted"
                )
            try:
                return await self._write(alias, current, version, options, back=back)
            except _MovedMeanwhileError:
                continue
        raise UnavailableError(f"{model.name}@{name} is moved by others again and again")

    async def _there(self, model: RegisteredModel, name: str) -> ModelAlias:
        found = await self.alias(model, name)
        if found is not None:
            return found
        try:
            return await self._aliases.add(
                ModelAlias(model_id=model.id, name=name, moved_at=self._store.now())
            )
        except DuplicateError:
            return await self._aliases.one(ModelAlias.model_id == model.id, ModelAlias.name == name)

    async def _current(self, alias: ModelAlias) -> ModelVersion | None:
        return None if alias.version_id is None else await self._versions.get(alias.version_id)

    async def _numbered(self, alias: ModelAlias, number: int) -> AliasMove | None:
        return await self._moves.first(AliasMove.alias_id == alias.id, AliasMove.number == number)

    def _check(
        self,
        model: RegisteredModel,
        alias: ModelAlias,
        current: ModelVersion | None,
        options: MoveOptions,
    ) -> None:
        if len(options.reason) > 1_000:
            raise InvalidValueError("AliasMove", "reason", "is longer than 1000 characters")
        if options.expected is AnyVersion.ANY:
            return
        if options.expected != (None if current is None else current.number):
            raise PreconditionFailedError("ModelAlias", f"{model.name}@{alias.name}")

    async def _write(
        self,
        alias: ModelAlias,
        current: ModelVersion | None,
        version: ModelVersion | None,
        options: MoveOptions,
        *,
        back: AliasMove | None = None,
    ) -> AliasMove:
        # A clock that was set back must not put a later move before an earlier one.
        now = max(self._store.now(), alias.moved_at)
        move = AliasMove(
            alias_id=alias.id,
            number=alias.moves + 1,
            from_number=None if current is None else current.number,
            to_number=None if version is None else version.number,
            digest=None if version is None else version.digest,
            falls_back_to=await self._fallback(alias, current)
            if back is None
            else back.falls_back_to,
            rollback=back is not None,
            reason=options.reason,
            actor=acting().actor,
            moved_at=now,
        )
        try:
            async with self._store.transaction():
                await self._aliases.patch(
                    alias.id,
                    ModelAlias.version_id.to(None if version is None else version.id),
                    ModelAlias.moves.to(move.number),
                    ModelAlias.moved_at.to(now),
                    when=ModelAlias.revision == alias.revision,
                )
                stored = await self._moves.add(move)
                await self._tell(alias, stored)
                return stored
        except (PreconditionFailedError, DuplicateError, SerializationError) as error:
            raise _MovedMeanwhileError from error
        except ForeignKeyError:
            raise NotFoundError("ModelVersion", move.to_number, hint="it was deleted") from None

    async def _tell(self, alias: ModelAlias, move: AliasMove) -> None:
        """Let the store's hooks, such as the audit, hear of *move* in its transaction."""
        model = await self._models.get_one(alias.model_id)
        if move.to_number is None:
            event = "model.withdrawn"
        else:
            event = "model.rolled_back" if move.rollback else "model.promoted"
        details = {"from": move.from_number, "to": move.to_number, "digest": move.digest}
        key = f"{model.name}@{alias.name}"
        await self._store.record_event(event, entity="ModelAlias", key=key, details=details)

    async def _fallback(self, alias: ModelAlias, current: ModelVersion | None) -> int:
        """Return the move that a rollback goes back to: the one in force, if it says a version."""
        if current is not None:
            return alias.moves
        in_force = await self._numbered(alias, alias.moves)
        return 0 if in_force is None else in_force.falls_back_to


class _MovedMeanwhileError(ConflictError):
    """Somebody else moved the alias between the reading and the writing."""


def _check_gates(
    model: RegisteredModel,
    version: ModelVersion | None,
    current: ModelVersion | None,
    gates: Sequence[MetricGate],
) -> None:
    if version is None or not gates:
        return
    beside = None if current is None or current.id == version.id else current.metrics
    refusals = tuple(
        refusal for gate in gates if (refusal := gate.refusal(version.metrics, beside)) is not None
    )
    if refusals:
        raise GateError(f"{model.name}:{version.number}", refusals)
