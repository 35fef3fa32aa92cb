"""Changes inside a JSON document: what each of them does, said once in Python."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import cast

from holdfast.records.values.json_values import json_equal
from holdfast.records.values.text import ValueRejected


class EditAction(enum.Enum):
    """What is done at a place in JSON."""

    SET = "to"
    REMOVE = "remove"
    APPEND = "append"
    APPEND_ABSENT = "append if absent"
    REMOVE_ITEM = "remove_item"


@dataclass(frozen=True, slots=True)
class JsonEdit:
    """*action* with *value* at the place that *steps* lead to; no steps: the whole document."""

    steps: tuple[str | int, ...]
    action: EditAction
    value: object = None

    @property
    def removes(self) -> bool:
        """Whether it takes something away, which need not be there."""
        return self.action in (EditAction.REMOVE, EditAction.REMOVE_ITEM)

    def makes(self, at: int) -> bool:
        """Return whether it makes what is missing after the first *at* of the steps."""
        return not self.removes and not any(isinstance(step, int) for step in self.steps[at:])

    def made(self, at: int = 0) -> object:
        """Return a document that has nothing but the value, from the first *at* steps on.

        It is what `makes` speaks of; positions stand in it as lists, as deep as they lie.
        """
        appends = self.action in (EditAction.APPEND, EditAction.APPEND_ABSENT)
        made: object = [self.value] if appends else self.value
        for step in reversed(self.steps[at:]):
            made = {step: made} if isinstance(step, str) else [made]
        return made


def edited(document: object, edit: JsonEdit) -> object:
    """Return *document* with *edit* made; parts that stay are those of *document* itself.

    Raises ValueRejected where something is to be put into what is neither missing, null nor fit.
    """
    return _edited(document, edit, 0)


def _edited(found: object, edit: JsonEdit, at: int) -> object:
    if at == len(edit.steps):
        return _at_its_place(found, edit)
    step = edit.steps[at]
    if found is None and edit.makes(at):
        return edit.made(at)
    if isinstance(step, str):
        if not isinstance(found, dict):
            return _unchanged(found, edit, at, "is not an object")
        members = cast("dict[str, object]", found)
        if step not in members and edit.removes:
            return members
        if at == len(edit.steps) - 1 and edit.action is EditAction.REMOVE:
            return {name: value for name, value in members.items() if name != step}
        return {**members, step: _edited(members.get(step), edit, at + 1)}
    if not isinstance(found, list):
        return _unchanged(found, edit, at, "is not a list")
    items = cast("list[object]", found)
    if step >= len(items):
        return _unchanged(items, edit, at + 1, "is not there")
    if at == len(edit.steps) - 1 and edit.action is EditAction.REMOVE:
        return [*items[:step], *items[step + 1 :]]
    return [*items[:step], _edited(items[step], edit, at + 1), *items[step + 1 :]]


def _at_its_place(found: object, edit: JsonEdit) -> object:
    if edit.action is EditAction.SET:
        return edit.value
    if not edit.removes and found is None:
        return [edit.value]
    if not isinstance(found, list):
        return _unchanged(found, edit, len(edit.steps), "is not a list")
    items = cast("list[object]", found)
    if edit.action is EditAction.REMOVE_ITEM:
        return [item for item in items if not json_equal(item, edit.value)]
    absent = edit.action is EditAction.APPEND_ABSENT
    if absent and any(json_equal(item, edit.value) for item in items):
        return items
    return [*items, edit.value]


def _unchanged(found: object, edit: JsonEdit, at: int, reason: str) -> object:
    """Return *found*, of which there is nothing to take away. Raises ValueRejected otherwise."""
    if edit.removes:
        return found
    steps = (f".{step}" if isinstance(step, str) else f"[{step}]" for step in edit.steps[:at])
    raise ValueRejected(f"{''.join(steps).lstrip('.')} {reason}".lstrip())
