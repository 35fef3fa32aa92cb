"""The routes of one entity: create, get, list, patch, delete, in a line.

`app.include_router(crud_router(Video), prefix="/videos")`
"""

# No postponed annotations: FastAPI reads those of the routes, whose types are made here.

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query
from fastapi.params import Depends as DependsType
from pydantic import Field, TypeAdapter
from pydantic import create_model as create_pydantic_model
from starlette.requests import Request
from starlette.responses import Response

from holdfast.errors import ConfigurationError, NotFoundError, PreconditionFailedError
from holdfast.fastapi.crud_rules import VERBS, CrudModels, CrudRules, Verb
from holdfast.fastapi.dependencies import RepositoryOf
from holdfast.fastapi.entity_tag import entity_tag
from holdfast.fastapi.list_query import ListQuery, list_query
from holdfast.fastapi.preconditions import IfMatch, Minimal, RequiredMatch
from holdfast.fastapi.problem import ProblemError
from holdfast.fastapi.problem_schema import problem_responses
from holdfast.fastapi.request_transaction import Writing
from holdfast.fastapi.wire_field import key_hint
from holdfast.fastapi.wire_model import OutModel, create_model, out_model, patch_model
from holdfast.records import Entity, Page, Predicate, Relation, Repository
from holdfast.records.model import model_of
from holdfast.records.query import all_of

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
    """Return the routes by which clients create, get, list, patch and delete an *entity*.

    Each write is one transaction, and its answer leaves after the commit. A version is the ETag:
    If-Match on patch and delete is compared with it, and with *require_match* has to be there.
    Clients ask for the relations in *include* by `?include=project`, each of which costs one
    statement. *models* are what goes over the wire, *rules* the application's hooks; *verbs* are
    the routes that there are.

    Raises ConfigurationError for an unknown verb, and what making the models raises.
    """
    routes = _Routes(entity, models or CrudModels(), tuple(include), rules or CrudRules())
    routes.require_match = require_match
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

    require_match = False

    def __init__(
        self,
        entity: Any,
        models: CrudModels[Any],
        include: tuple[Relation, ...],
        rules: CrudRules[Any],
    ) -> None:
        self.model = model_of(entity)
        self.name = entity.__name__
        self.rules = rules
        self.relations = {relation.name: relation for relation in include}
        self.create: Any = models.create or create_model(entity)
        self.patch: Any = models.patch or patch_model(entity)
        self.out: type[OutModel[Any]] = models.out or out_model(entity, include=include)
        query: Any = models.query or list_query(entity)
        self.query: Any = self._with_include(query)
        self.repository: Any = Annotated[Repository[Any], Depends(RepositoryOf(entity))]
        self.key: Any = key_hint(self.model)
        self.key_field: Any = getattr(entity, self.model.key.name)
        self.path = f"/{{{self.model.key.name}}}"
        shown = {relation.name for relation in self.out.__selection__.include}
        if missing := self.relations.keys() - shown - self.out.model_fields.keys():
            raise ConfigurationError(
                f"{self.out.__name__} has no {', '.join(sorted(missing))}: say include= there too"
            )

    def _with_include(self, query: type[ListQuery[Any]]) -> type[ListQuery[Any]]:
        if not self.relations:
            return query
        names: Any = Literal[tuple(self.relations)]
        field: Any = (list[names], Field(default_factory=list, max_length=len(self.relations)))
        return create_pydantic_model(query.__name__, __base__=query, include=field)

    def _permitted(self, verb: Verb) -> list[DependsType]:
        permit = self.rules.permit
        if permit is None:
            return []

        async def permitted(request: Request) -> None:
            await permit(request, verb)

        return [Depends(permitted)]

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
        found = await repository.first(self.key_field == key, *visible, load=load)
        if found is None:
            raise NotFoundError(self.name, key)
        return found

    async def _check_visible(
        self, repository: Repository[Any], entity: Any, visible: Sequence[Predicate]
    ) -> None:
        key = getattr(entity, self.model.key.name)
        if visible and not await repository.exists(self.key_field == key, *visible):
            raise ProblemError(
                403,
                f"the {self.name} would not be one of yours",
                kind="not-yours",
                title="Not allowed",
            )

    def _answer(self, entity: Any, status: int, *, minimal: bool, plain: bool = True) -> Response:
        headers: dict[str, str] = {}
        if self.model.version is not None and plain:
            headers["ETag"] = entity_tag(entity)
        if minimal:
            headers["Preference-Applied"] = "return=minimal"
            return Response(None, 204 if status == 200 else status, headers)
        body = self.out.of(entity).model_dump_json()
        return Response(body, status, headers, media_type=_JSON)

    def add_create(self, router: APIRouter) -> None:
        rules = self.rules

        async def create(
            request: Request,
            body: Any,
            repository: Any,
            _transaction: Writing,
            minimal: Minimal,
        ) -> Response:
            visible = await self._visible(request)
            entity = body.entity()
            if rules.creating is not None:
                entity = await rules.creating(request, entity)
            stored = await repository.add(entity)
            await self._check_visible(repository, stored, visible)
            answer = self._answer(stored, 201, minimal=minimal)
            key = quote(str(getattr(stored, self.model.key.name)), safe="")
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
            dependencies=self._permitted("create"),
            responses=problem_responses(400, 409, 413, 422),
        )

    def add_get(self, router: APIRouter) -> None:
        async def get(request: Request, key: Any, repository: Any, include: Any = ()) -> Response:
            visible = await self._visible(request)
            load = [self.relations[name] for name in dict.fromkeys(include)]
            entity = await self._found(repository, key, visible, load)
            return self._answer(entity, 200, minimal=False, plain=not load)

        self._keyed(get)
        get.__annotations__["include"] = self._include_hint()
        router.add_api_route(
            self.path,
            get,
            methods=["GET"],
            response_model=self.out,
            summary=f"Get a {self.name}",
            operation_id=f"get_{self.name}",
            dependencies=self._permitted("get"),
            responses=problem_responses(404, 422),
        )

    def _include_hint(self) -> Any:
        names: Any = Literal[tuple(self.relations)] if self.relations else str
        most = len(self.relations)
        return Annotated[list[names], Query(max_length=most, include_in_schema=most > 0)]

    def add_list(self, router: APIRouter) -> None:
        page_type: Any = Page[self.out]  # type: ignore[name-defined]
        adapter: TypeAdapter[Any] = TypeAdapter(page_type)

        async def find(request: Request, query: Any, repository: Any) -> Response:
            visible = await self._visible(request)
            asked = dict.fromkeys(getattr(query, "include", ()))
            load = [self.relations[name] for name in asked]
            page = await query.page(repository, self.out, where=visible, load=load)
            return Response(adapter.dump_json(page), media_type=_JSON)

        find.__annotations__ |= {
            "query": Annotated[self.query, Query()],
            "repository": self.repository,
        }
        router.add_api_route(
            "",
            find,
            methods=["GET"],
            response_model=page_type,
            summary=f"List {self.name}s",
            operation_id=f"list_{self.name}",
            dependencies=self._permitted("list"),
            responses=problem_responses(400, 422),
        )

    def add_patch(self, router: APIRouter) -> None:
        rules = self.rules

        async def patch(
            request: Request,
            key: Any,
            body: Any,
            repository: Any,
            _transaction: Writing,
            match: IfMatch,
            minimal: Minimal,
        ) -> Response:
            visible = await self._visible(request)
            changes: Sequence[Any] = body.changes()
            if visible or rules.changing is not None:
                found = await self._found(repository, key, visible)
                if rules.changing is not None:
                    changes = await rules.changing(request, found, changes)
            stored = await self._patched(repository, key, changes, (match, visible))
            await self._check_visible(repository, stored, visible)
            return self._answer(stored, 200, minimal=minimal)

        self._keyed(patch)
        patch.__annotations__["body"] = self.patch
        if self.require_match:
            patch.__annotations__["match"] = RequiredMatch
        router.add_api_route(
            self.path,
            patch,
            methods=["PATCH"],
            response_model=self.out,
            summary=f"Change a {self.name}",
            operation_id=f"patch_{self.name}",
            dependencies=self._permitted("patch"),
            responses=problem_responses(400, 404, 409, 412, 413, 422, *self._demanded()),
        )

    async def _patched(
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

        async def delete(
            request: Request, key: Any, repository: Any, _transaction: Writing, match: IfMatch
        ) -> Response:
            visible = await self._visible(request)
            if visible or rules.deleting is not None:
                found = await self._found(repository, key, visible)
                if rules.deleting is not None:
                    await rules.deleting(request, found)
            if not await repository.delete(key, version=match):
                raise NotFoundError(self.name, key)
            return Response(status_code=204)

        self._keyed(delete)
        if self.require_match:
            delete.__annotations__["match"] = RequiredMatch
        router.add_api_route(
            self.path,
            delete,
            methods=["DELETE"],
            status_code=204,
            response_model=None,
            summary=f"Delete a {self.name}",
            operation_id=f"delete_{self.name}",
            dependencies=self._permitted("delete"),
            responses=problem_responses(404, 409, 412, 422, *self._demanded()),
        )

    def _keyed(self, endpoint: Callable[..., Any]) -> None:
        """Let *endpoint* take its `key` from the path, where it has the key field's name."""
        endpoint.__annotations__ |= {
            "key": Annotated[self.key, Path(alias=self.model.key.name)],
            "repository": self.repository,
        }

    def _demanded(self) -> tuple[int, ...]:
        return (428,) if self.require_match else ()
