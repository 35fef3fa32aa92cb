"""The routes of one entity: create, get, list, replace, patch, delete, in a line.

`app.include_router(crud_router(Video), prefix="/videos")`
"""

# No postponed annotations: FastAPI reads those of the routes, whose types are made here.

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query
from fastapi.params import Depends as DependsType
from pydantic import Field
from pydantic import create_model as create_pydantic_model
from starlette.requests import Request
from starlette.responses import Response

from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
)
from holdfast.fastapi.crud.crud_rules import VERBS, CrudModels, CrudRules, Verb
from holdfast.fastapi.crud.list_query import ListQuery, list_query
from holdfast.fastapi.crud.preconditions import IfMatch, PreferHeader, RequiredMatch, is_minimal
from holdfast.fastapi.dependencies import KeyAt, RepositoryOf
from holdfast.fastapi.entity_tag import entity_tag
from holdfast.fastapi.problems.problem import ProblemError
from holdfast.fastapi.problems.problem_schema import problem_responses
from holdfast.fastapi.request_transaction import writing
from holdfast.fastapi.wire.entity_json import EntityJSON
from holdfast.fastapi.wire.wire_field import key_hints
from holdfast.fastapi.wire.wire_model import OutModel, create_model, out_model, patch_model
from holdfast.records import Entity, Page, Predicate, Relation, Repository
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.predicates import all_of
from holdfast.records.rows.row_key import has_key

E = TypeVar("E", bound=Entity)

_JSON = "application/json"


def crud_router(
    entity: type[E],
    *,
    models: CrudModels[E] | None = None,
    include: Sequence[Relation] = (),
    rules: CrudRules[E] | None = None,
    verbs: Collection[Verb] = VERBS,
    require_match: bool = False,
) -> APIRouter:
    """Return the routes by which clients create, get, list, change and delete an *entity*.

    Each write is atomic with the hooks that go with it, and its answer leaves after the commit. A
    version is the ETag: If-Match on patch and delete is compared with it, and with *require_match*
    has to be there. The verb "replace" is PUT: all that a client may say of a new entity takes the
    place of what is there, what is absent by its default, and If-Match has to name the state that
    is replaced. What can be got answers to HEAD too. Clients ask for the relations in *include* by
    `?include=project`, each of which costs one statement. *models* are what goes over the wire,
    *rules* the application's hooks; *verbs* are the routes that there are.

    Raises ConfigurationError for an unknown verb, and what making the models raises.
    """
    routes = _Routes(
        entity,
        models or CrudModels(),
        tuple(include),
        rules or CrudRules(),
        match=RequiredMatch if require_match else IfMatch,
    )
    router = APIRouter(tags=[entity.__name__])
    for verb in verbs:
        if verb not in VERBS:
            raise ConfigurationError(f"{verb!r} is not a verb: expected some of {VERBS}")
    for verb in VERBS:
        if verb in verbs:
            getattr(routes, f"add_{verb}")(router)
    return router


class _Routes:
    """What the routes of one entity share."""

    def __init__(
        self,
        entity: Any,
        models: CrudModels[Any],
        include: tuple[Relation, ...],
        rules: CrudRules[Any],
        *,
        match: Any,
    ) -> None:
        self.model = model_of(entity)
        self.name = entity.__name__
        self.rules = rules
        self.match = match
        self.relations = {relation.name: relation for relation in include}
        self.create: Any = models.create or create_model(entity)
        self.patch: Any = models.patch or patch_model(entity)
        self.out: type[OutModel[Any]] = models.out or out_model(entity, include=include)
        self.json = EntityJSON(self.out)
        query: Any = models.query or list_query(entity)
        self.query: Any = self._with_include(query)
        self.repository: Any = Annotated[Repository[Any], Depends(RepositoryOf(entity))]
        names = self.model.key_names
        self.key: Any = Annotated[Any, Depends(KeyAt(entity, names))]
        if len(names) == 1:  # a dependency less to solve
            self.key = Annotated[key_hints(self.model)[0], Path(alias=names[0])]
        self.path = "".join(f"/{{{name}}}" for name in names)
        shown = {relation.name for relation in self.out.__selection__.include}
        if missing := self.relations.keys() - shown - self.out.model_fields.keys():
            raise ConfigurationError(
                f"{self.out.__name__} has no {', '.join(sorted(missing))}: say include= there too"
            )

    def _with_include(self, query: type[ListQuery[Any]]) -> type[ListQuery[Any]]:
        if not self.relations:
            return query
        field: Any = (self._included(), Field(default_factory=list))
        return create_pydantic_model(query.__name__, __base__=query, include=field)

    def _included(self) -> Any:
        """Return the type of the parameter by which clients name relations."""
        names: Any = Literal[tuple(self.relations)]
        return Annotated[list[names], Field(max_length=len(self.relations))]

    def _permitted(self, verb: Verb) -> list[DependsType]:
        permit = self.rules.permit
        if permit is None:
            return []

        async def permitted(request: Request) -> None:
            await permit(request, verb)

        return [Depends(permitted)]

    def _transaction(self) -> list[DependsType]:
        """Return the dependency on a transaction where a write is more than its one verb.

        A verb alone commits by itself before it returns, in one round trip instead of four.
        """
        rules = self.rules
        hooks = (rules.visible, rules.creating, rules.changing, rules.deleting)
        if all(hook is None for hook in hooks):
            return []
        return [Depends(writing, scope="function")]

    async def _visible(self, request: Request) -> tuple[Predicate, ...]:
        return () if self.rules.visible is None else tuple(await self.rules.visible(request))

    async def _found(
        self,
        repository: Repository[Any],
        key: object,
        visible: Sequence[Predicate],
        load: Sequence[Relation] = (),
    ) -> Any:
        """Return the row under *key* that the client sees. Raises NotFoundError."""
        if not visible:
            return await repository.get_one(key, load=load)
        wanted = has_key(self.model, self.model.check_key(key))
        found = await repository.first(wanted, *visible, load=load)
        if found is None:
            raise NotFoundError(self.name, key)
        return found

    async def _check_visible(
        self, repository: Repository[Any], entity: Any, visible: Sequence[Predicate]
    ) -> None:
        wanted = has_key(self.model, self.model.key_of_entity(entity))
        if visible and not await repository.exists(wanted, *visible):
            raise ProblemError(
                403,
                f"the {self.name} would not be one of yours",
                kind="not-yours",
                title="Not allowed",
            )

    def _answer(self, entity: Any, status: int, *, minimal: bool, loaded: bool = False) -> Response:
        headers: dict[str, str] = {}
        if self.model.version is not None and not loaded:
            headers["ETag"] = entity_tag(entity)
        if minimal:
            headers["Preference-Applied"] = "return=minimal"
            return Response(None, 204 if status == 200 else status, headers)
        return Response(self.json.one(entity, loaded=loaded), status, headers, media_type=_JSON)

    def add_create(self, router: APIRouter) -> None:
        rules = self.rules

        async def create(
            request: Request,
            body: Any,
            repository: Any,
            prefer: PreferHeader = None,
        ) -> Response:
            visible = await self._visible(request)
            entity = body.entity()
            if rules.creating is not None:
                entity = await rules.creating(request, entity)
            stored = await repository.add(entity)
            await self._check_visible(repository, stored, visible)
            answer = self._answer(stored, 201, minimal=is_minimal(prefer))
            parts = (str(getattr(stored, name)) for name in self.model.key_names)
            key = "/".join(quote(part, safe="") for part in parts)
            answer.headers["Location"] = f"{quote(request.url.path.rstrip('/'))}/{key}"
            return answer

        create.__annotations__ |= {"body": self.create, "repository": self.repository}
        router.add_api_route(
            "",
            create,
            methods=["POST"],
            status_code=201,
            response_model=self.out,
            summary=f"Create a {self.name}",
            operation_id=f"create_{self.name}",
            dependencies=[*self._transaction(), *self._permitted("create")],
            responses=problem_responses(400, 409, 413, 422),
        )

    def add_get(self, router: APIRouter) -> None:
        async def get(request: Request, key: Any, repository: Any, include: Any = ()) -> Response:
            visible = await self._visible(request)
            load = [self.relations[name] for name in dict.fromkeys(include)]
            entity = await self._found(repository, key, visible, load)
            return self._answer(entity, 200, minimal=False, loaded=bool(load))

        async def get_alone(request: Request, key: Any, repository: Any) -> Response:
            return await get(request, key, repository)

        endpoint = get if self.relations else get_alone
        self._keyed(endpoint)
        if self.relations:
            get.__annotations__["include"] = Annotated[self._included(), Query()]
        add_read = partial(
            router.add_api_route,
            self.path,
            endpoint,
            response_model=self.out,
            dependencies=self._permitted("get"),
        )
        add_read(
            methods=["GET"],
            summary=f"Get a {self.name}",
            operation_id=f"get_{self.name}",
            responses=problem_responses(404, 422),
        )
        add_read(methods=["HEAD"], include_in_schema=False)

    def add_list(self, router: APIRouter) -> None:
        page_type: Any = Page[self.out]  # type: ignore[name-defined]

        async def find(request: Request, query: Any, repository: Any) -> Response:
            visible = await self._visible(request)
            asked = dict.fromkeys(getattr(query, "include", ()))
            load = [self.relations[name] for name in asked]
            page = await query.page(repository, where=visible, load=load)
            return Response(self.json.page(page, loaded=bool(load)), media_type=_JSON)

        find.__annotations__ |= {
            "query": Annotated[self.query, Query()],
            "repository": self.repository,
        }
        add_read = partial(
            router.add_api_route,
            "",
            find,
            response_model=page_type,
            dependencies=self._permitted("list"),
        )
        add_read(
            methods=["GET"],
            summary=f"List {self.name}s",
            operation_id=f"list_{self.name}",
            responses=problem_responses(400, 422),
        )
        add_read(methods=["HEAD"], include_in_schema=False)

    def add_replace(self, router: APIRouter) -> None:
        if self.model.version is None:
            self._add_change(router, "replace", self.create, IfMatch)
        else:
            self._add_change(router, "replace", self.create, RequiredMatch)

    def add_patch(self, router: APIRouter) -> None:
        self._add_change(router, "patch", self.patch, self.match)

    def _add_change(self, router: APIRouter, verb: Verb, model: Any, match_type: Any) -> None:
        rules = self.rules

        async def change(
            request: Request,
            key: Any,
            body: Any,
            repository: Any,
            match: Any,
            prefer: PreferHeader = None,
        ) -> Response:
            self._check_key(key, body)
            visible = await self._visible(request)
            changes: Sequence[Any] = body.changes()
            if visible or rules.changing is not None:
                found = await self._found(repository, key, visible)
                if rules.changing is not None:
                    changes = await rules.changing(request, found, changes)
            stored = await self._apply_patch(repository, key, changes, (match, visible))
            await self._check_visible(repository, stored, visible)
            return self._answer(stored, 200, minimal=is_minimal(prefer))

        self._keyed(change)
        change.__annotations__ |= {"body": model, "match": match_type}
        router.add_api_route(
            self.path,
            change,
            methods=["PUT" if verb == "replace" else "PATCH"],
            response_model=self.out,
            summary=f"{'Replace' if verb == 'replace' else 'Change'} a {self.name}",
            operation_id=f"{verb}_{self.name}",
            dependencies=[*self._transaction(), *self._permitted(verb)],
            responses=problem_responses(400, 404, 409, 412, 413, 422, *_demanded(match_type)),
        )

    def _check_key(self, key: object, body: Any) -> None:
        """Raise InvalidValueError for a *body* that is of another entity than the path's."""
        for name, part in zip(self.model.key_names, self.model.key_parts(key), strict=True):
            if getattr(body, name, part) != part:
                raise InvalidValueError(self.name, name, "is not that of the path")

    async def _apply_patch(
        self,
        repository: Repository[Any],
        key: object,
        changes: Sequence[Any],
        conditions: tuple[int | None, tuple[Predicate, ...]],
    ) -> Any:
        version, visible = conditions
        when = all_of(visible) if visible else None
        try:
            return await repository.patch(key, *changes, version=version, when=when)
        except PreconditionFailedError:  # another client changed to whom the row belongs
            raise NotFoundError(self.name, key) from None

    def add_delete(self, router: APIRouter) -> None:
        rules = self.rules

        async def delete(request: Request, key: Any, repository: Any, match: Any) -> Response:
            visible = await self._visible(request)
            if visible or rules.deleting is not None:
                found = await self._found(repository, key, visible)
                if rules.deleting is not None:
                    await rules.deleting(request, found)
            if not await repository.delete(key, version=match):
                raise NotFoundError(self.name, key)
            return Response(status_code=204)

        self._keyed(delete)
        delete.__annotations__["match"] = self.match
        router.add_api_route(
            self.path,
            delete,
            methods=["DELETE"],
            status_code=204,
            response_model=None,
            summary=f"Delete a {self.name}",
            operation_id=f"delete_{self.name}",
            dependencies=[*self._transaction(), *self._permitted("delete")],
            responses=problem_responses(404, 409, 412, 422, *_demanded(self.match)),
        )

    def _keyed(self, endpoint: Callable[..., Any]) -> None:
        """Let *endpoint* take its `key` from the path, where it has the names of the fields."""
        endpoint.__annotations__ |= {"key": self.key, "repository": self.repository}


def _demanded(match_type: Any) -> tuple[int, ...]:
    """Return the status of a request without If-Match, where *match_type* demands it."""
    return (428,) if match_type is RequiredMatch else ()
