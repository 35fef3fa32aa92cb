"""Who changed what, in the transaction of the change."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header
from pydantic import TypeAdapter

import holdfast.fastapi as hf
from vidsvc.models import Revision, Stamped


class History:
    def __init__(
        self, revisions: hf.Repo[Revision], x_user: Annotated[str, Header()] = "anonymous"
    ) -> None:
        self._revisions, self._actor = revisions, x_user

    async def note(self, entity: str, key: UUID, action: str, changes: dict[str, object]) -> None:
        await self._revisions.add(
            Revision(
                entity=entity, entity_id=key, action=action, actor=self._actor, changes=changes
            )
        )

    async def record(self, action: str, before: Stamped | None, after: Stamped | None) -> None:
        subject = after or before
        assert subject is not None
        old, new = _plain(before), _plain(after)
        changes: dict[str, object] = {
            name: [old.get(name), new.get(name)]
            for name in {**old, **new}
            if old.get(name) != new.get(name)
        }
        await self.note(type(subject).__name__, subject.id, action, changes)


def _plain(entity: Stamped | None) -> dict[str, object]:
    if entity is None:
        return {}
    dumped = TypeAdapter(type(entity)).dump_python(entity, mode="json")
    return {name: dumped[name] for name in dumped if name not in Stamped.__annotations__}


Recorded = Annotated[History, Depends()]
