"""A store in which the suite's entities live as their twins, mapped by SQLAlchemy."""

from __future__ import annotations

from sqlalchemy.orm import make_transient_to_detached

from holdfast.records import BatchResult, Page, Repository, Store, StoreCapability, Upserted
from holdfast.records.conformance import KeepingHarness, StoreHarness
from holdfast.records.connect import driver_at
from holdfast.records.entities.model import model_of
from holdfast.records.store import opening
from integrations.sqlalchemy import saying
from integrations.sqlalchemy.twins import TWINS

OWN = {twin: own for own, twin in TWINS.items()}


class TwinHarness(StoreHarness):
    def open(self, entities, clock):
        return opening(TwinStore(driver_at(self.url), twins(entities), clock=clock))

    def open_blocking(self, entities, clock):
        driver = driver_at(self.url, blocking=True)
        return opening(TwinStore(driver, twins(entities), clock=clock))


def twins(entities):
    return [TWINS.get(entity, entity) for entity in entities]


class KeepingTwinHarness(TwinHarness, KeepingHarness):
    """Twins whose tables stay, since they are dear to make."""


class TwinStore(Store):
    @property
    def capabilities(self):
        return super().capabilities - {StoreCapability.EXPRESSIONS}  # refused of mapped columns

    def repository(self, entity):
        if entity not in TWINS:
            return super().repository(entity)
        return TwinRepository(entity, Repository(TWINS[entity], self), self)


def to_twin(entity):
    twin = TWINS.get(type(entity))
    if twin is None:
        return entity
    made = twin()
    specs = model_of(type(entity)).fields
    held = vars(entity)
    for spec in specs:
        if spec.name in held:
            setattr(made, spec.name, held[spec.name])
    if any(spec.in_constructor and spec.name not in held for spec in specs):
        make_transient_to_detached(made)  # what was taken away is not what was never given
    return made


def to_own(made):
    if made is None or type(made) not in OWN:
        return made
    own = OWN[type(made)]
    model = model_of(own)
    held = vars(made)
    entity = object.__new__(own)
    entity.__dict__ = {spec.name: held[spec.name] for spec in model.fields}
    for name in model.relations:
        if name in held:
            found = held[name]
            many = isinstance(found, list)
            entity.__dict__[name] = [to_own(each) for each in found] if many else to_own(found)
    return entity


def options(given):
    made = dict(given)
    if "order_by" in made:
        made["order_by"] = saying.ordered(made["order_by"])
    if "load" in made:
        made["load"] = saying.loads(made["load"])
    if "where" in made:
        where = made["where"]
        several = isinstance(where, (list, tuple))
        made["where"] = conditions(where) if several else saying.understood(where)
    if "having" in made:
        having = made["having"]
        several = isinstance(having, (list, tuple))
        made["having"] = conditions(having) if several else saying.understood(having)
    if "by" in made:
        made["by"] = saying.fields(made["by"])
    if "on" in made:
        made["on"] = saying.fields(made["on"])
    if "changes" in made:
        wanted = made["changes"]
        several = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        made["changes"] = saying.changes(several)
    if isinstance(made.get("limit"), (list, tuple)):
        made["limit"] = [(saying.understood(where), most) for where, most in made["limit"]]
    if "when" in made:
        made["when"] = saying.understood(made["when"])
    return made


def conditions(where):
    return [saying.understood(each) for each in where]


class TwinRepository(Repository):
    """The verbs of a repository of an entity, done by that of its twin."""

    def __init__(self, entity, twins, store):
        self.twins = twins
        self.model = model_of(entity)
        self.store = store

    async def get(self, key, **given):
        return to_own(await self.twins.get(key, **options(given)))

    async def get_one(self, key, **given):
        return to_own(await self.twins.get_one(key, **options(given)))

    async def get_many(self, keys, **given):
        return [to_own(each) for each in await self.twins.get_many(keys, **options(given))]

    async def find(self, *where, **given):
        found = await self.twins.find(*conditions(where), **options(given))
        return [to_own(each) for each in found]

    async def first(self, *where, **given):
        return to_own(await self.twins.first(*conditions(where), **options(given)))

    async def one(self, *where, **given):
        return to_own(await self.twins.one(*conditions(where), **options(given)))

    async def page(self, *where, **given):
        page = await self.twins.page(*conditions(where), **options(given))
        items = [to_own(each) for each in page.items]
        return Page(items, next=page.next, previous=page.previous, total=page.total)

    async def stream(self, *where, **given):
        async for each in self.twins.stream(*conditions(where), **options(given)):
            yield to_own(each)

    async def select(self, *words, **given):
        return await self.twins.select(*saying.fields(words), **options(given))

    async def aggregate(self, *wanted, **given):
        return await self.twins.aggregate(*saying.aggregates(wanted), **options(given))

    async def count(self, *where):
        return await self.twins.count(*conditions(where))

    async def exists(self, *where):
        return await self.twins.exists(*conditions(where))

    async def explain(self, *where, **given):
        return await self.twins.explain(*conditions(where), **options(given))

    async def add(self, entity):
        return to_own(await self.twins.add(to_twin(entity)))

    async def add_many(self, entities, **given):
        batch = await self.twins.add_many([to_twin(each) for each in entities], **given)
        return BatchResult([to_own(each) for each in batch.results])

    async def update(self, entity):
        return to_own(await self.twins.update(to_twin(entity)))

    async def patch(self, key, *changes, **given):
        return to_own(await self.twins.patch(key, *saying.changes(changes), **options(given)))

    async def upsert(self, entity, **given):
        found = await self.twins.upsert(to_twin(entity), **options(given))
        return Upserted(to_own(found.entity), found.created)

    async def upsert_many(self, entities, **given):
        found = await self.twins.upsert_many([to_twin(each) for each in entities], **options(given))
        return [Upserted(to_own(each.entity), each.created) for each in found]

    async def take(self, *where, **given):
        found = await self.twins.take(*conditions(where), **options(given))
        return [to_own(each) for each in found]

    async def update_where(self, *where, **given):
        return await self.twins.update_where(*conditions(where), **options(given))

    async def delete(self, key, **given):
        return await self.twins.delete(key, **given)

    async def delete_many(self, keys):
        return await self.twins.delete_many(keys)

    async def delete_where(self, *where):
        return await self.twins.delete_where(*conditions(where))
