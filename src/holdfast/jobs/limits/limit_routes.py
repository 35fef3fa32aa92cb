"""The routes of limits: everybody reads them and how they stand, an administrator sets them."""

from datetime import timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, model_validator

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.errors import ConfigurationError, InvalidValueError, NotFoundError
from holdfast.fastapi import problem_responses
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.limits.job_limit import TASK_LENGTH, Limit, LimitScope, limit_name
from holdfast.jobs.limits.job_limits import LimitUse

Name = Annotated[str, Path(min_length=1, max_length=TASK_LENGTH)]
Number = Annotated[StrictInt, Field(ge=1, le=10**9)]
LimitKey = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_SHOWN = 1_000  # keys of which the numbers are shown, those with the most jobs first


class LimitAsked(BaseModel):
    """How many jobs run at once, in all and by key, and how many start in a *period*.

    The *period* is in seconds. One of *weights* gets as many times the jobs in its turn.
    """

    model_config = ConfigDict(extra="forbid")

    concurrency: Number | None = None
    key_concurrency: Number | None = None
    rate: Number | None = None
    key_rate: Number | None = None
    period: float = Field(default=1.0, ge=0.001, le=10**8)
    weights: dict[LimitKey, Number] = Field(default_factory=dict, max_length=1_000)

    @model_validator(mode="after")
    def can_be(self) -> Self:
        """Refuse what says nothing, and weights without keys."""
        try:
            self.limit(queue="any")
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    def limit(self, *, queue: str | None = None, task: str | None = None) -> Limit:
        """Return it as the verbs take it."""
        return Limit(
            queue=queue,
            task=task,
            concurrency=self.concurrency,
            key_concurrency=self.key_concurrency,
            rate=self.rate,
            key_rate=self.key_rate,
            period=timedelta(seconds=self.period),
            weights=self.weights,
        )


class LimitOut(BaseModel):
    """What a queue or a task is limited to; the *period* is in seconds."""

    queue: str | None
    task: str | None
    concurrency: int | None
    key_concurrency: int | None
    rate: int | None
    key_rate: int | None
    period: float
    weights: dict[str, int]

    @classmethod
    def of(cls, found: Limit) -> Self:
        """Return *found* as it is shown."""
        subject = {"queue": found.queue, "task": found.task}
        return cls.model_validate({**subject, **found.as_json()})


class KeyUseOut(BaseModel):
    """How many jobs with a key run and wait; *key* is null for those without one."""

    key: str | None
    running: int
    waiting: int


class LimitUseOut(BaseModel):
    """How a limit stands: what runs and waits, in all and by key, those with most jobs first.

    *used* is how many starts the rate has not given back yet. At most 1,000 keys are listed.
    """

    limit: LimitOut
    running: int
    waiting: int
    used: float
    keys: list[KeyUseOut]

    @classmethod
    def of(cls, found: LimitUse) -> Self:
        """Return *found* as it is shown."""
        keys = [
            KeyUseOut(key=key, running=running, waiting=waiting)
            for key, running, waiting in found.by_key()[:_SHOWN]
        ]
        return cls(
            limit=LimitOut.of(found.limit),
            running=sum(found.running.values()),
            waiting=sum(found.waiting.values()),
            used=found.used,
            keys=keys,
        )


def limit_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of the limits of *jobs*, below those of jobs."""
    router = APIRouter(prefix="/jobs/limits")

    @router.get("", dependencies=[allow(Role.VIEWER)])
    async def list_limits() -> list[LimitOut]:
        """List all limits, those of queues first, by name."""
        return [LimitOut.of(limit) for limit in await jobs.limits.all()]

    @router.get(
        "/{scope}/{name}", dependencies=[allow(Role.VIEWER)], responses=problem_responses(404, 422)
    )
    async def use(scope: LimitScope, name: Name) -> LimitUseOut:
        """Tell how the limit of a queue or a task stands: what runs and waits, by key."""
        found = await jobs.limits.use(**_named(scope, name))
        if found is None:
            raise NotFoundError("JobLimit", f"{scope}:{name}")
        return LimitUseOut.of(found)

    @router.put(
        "/{scope}/{name}", dependencies=[allow(Role.ADMIN)], responses=problem_responses(422)
    )
    async def put(scope: LimitScope, name: Name, asked: LimitAsked) -> LimitOut:
        """Limit a queue or a task, from its next claim on; what runs goes on, and counts."""
        try:
            limit = asked.limit(**_named(scope, name))
        except ConfigurationError as error:
            raise InvalidValueError("JobLimit", scope.value, str(error)) from None
        await jobs.limits.set(limit)
        return LimitOut.of(limit)

    @router.delete(
        "/{scope}/{name}",
        status_code=204,
        dependencies=[allow(Role.ADMIN)],
        responses=problem_responses(404, 422),
    )
    async def remove(scope: LimitScope, name: Name) -> None:
        """Let a queue or a task have no limit."""
        if not await jobs.limits.remove(**_named(scope, name)):
            raise NotFoundError("JobLimit", f"{scope}:{name}")

    return router


def _named(scope: LimitScope, name: str) -> dict[str, str]:
    """Return *name* as the verbs take it. Raises InvalidValueError for what can't be a name."""
    given = {scope.value: name}
    try:
        limit_name(**{"queue": None, "task": None, **given})
    except ConfigurationError as error:
        raise InvalidValueError("JobLimit", scope.value, str(error)) from None
    return given
