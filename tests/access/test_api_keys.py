"""Who is let in by a key, and for how long."""

from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast.access import ApiKey, Caller, Role
from holdfast.errors import (
    ForbiddenError,
    InvalidValueError,
    NotFoundError,
    UnauthenticatedError,
)


async def is_refused(keys, secret):
    with pytest.raises(UnauthenticatedError) as caught:
        await keys.caller(secret)
    assert str(caught.value) == "the API key is unknown, revoked or over"
    return True


async def test_a_secret_tells_whose_it_is(keys):
    project = uuid4()
    issued = await keys.issue("camera 7", Role.OPERATOR, projects=[project, project])
    caller = await keys.caller(issued.secret)
    assert caller == Caller(issued.key.id, "camera 7", Role.OPERATOR, frozenset({project}))
    assert caller.may_reach(project)
    assert not caller.may_reach(uuid4())
    other = await keys.issue("camera 8", Role.VIEWER)
    assert (await keys.caller(other.secret)).may_reach(project)


async def test_the_secret_is_stored_nowhere_and_shown_by_nothing(keys, store):
    issued = await keys.issue("ci", Role.VIEWER)
    drawn = issued.secret[36:]
    assert len(drawn) == 43
    [kept] = await store.repository(ApiKey).find()
    assert drawn not in repr(kept)
    assert drawn not in repr(issued)


@pytest.mark.parametrize("change", ["", "hf_", "other", "x", "\n", "Ä", "\0"])
async def test_what_is_not_the_secret_is_refused(keys, change):
    issued = await keys.issue("ci", Role.VIEWER)
    wrong = {"": "", "hf_": "hf_", "other": (await keys.issue("b", Role.VIEWER)).secret}
    secret = wrong.get(change, issued.secret + change)
    if change == "other":  # the id of one key, the secret of another
        secret = issued.secret[:36] + secret[36:]
    assert await is_refused(keys, secret)
    last = "A" if issued.secret[-2] != "A" else "B"
    assert await is_refused(keys, issued.secret[:-2] + last + issued.secret[-1])


async def test_a_key_that_ran_out_or_was_revoked_is_refused(keys, clock):
    short = await keys.issue("short", Role.VIEWER, lifetime=timedelta(minutes=5))
    ended = await keys.issue("ended", Role.VIEWER)
    clock.forward(minutes=4)
    assert (await keys.caller(short.secret)).name == "short"
    clock.forward(minutes=1)
    assert await is_refused(keys, short.secret)
    first = await keys.revoke(ended.key.id)
    assert await is_refused(keys, ended.secret)
    clock.forward(minutes=1)
    assert (await keys.revoke(ended.key.id)).revoked_at == first.revoked_at
    assert [key.name for key in await keys.list()] == ["ended", "short"]


async def test_after_a_rotation_both_secrets_are_good_for_a_while(keys, clock):
    issued = await keys.issue("ci", Role.ADMIN)
    rotated = await keys.rotate(issued.key.id, grace=timedelta(hours=1))
    assert rotated.secret != issued.secret
    for secret in (issued.secret, rotated.secret):
        assert (await keys.caller(secret)).key_id == issued.key.id
    clock.forward(hours=1)
    assert await is_refused(keys, issued.secret)
    assert (await keys.caller(rotated.secret)).role is Role.ADMIN
    at_once = await keys.rotate(issued.key.id, grace=timedelta(0))
    assert await is_refused(keys, rotated.secret)
    await keys.revoke(issued.key.id)
    assert await is_refused(keys, at_once.secret)
    with pytest.raises(NotFoundError):
        await keys.rotate(issued.key.id)


async def test_what_makes_no_sense_is_refused(keys):
    with pytest.raises(InvalidValueError, match="name"):
        await keys.issue("  ", Role.VIEWER)
    with pytest.raises(InvalidValueError, match="lifetime"):
        await keys.issue("a", Role.VIEWER, lifetime=timedelta(0))
    with pytest.raises(InvalidValueError, match="projects"):
        await keys.issue("a", Role.ADMIN, projects=[uuid4()])
    with pytest.raises(InvalidValueError, match="grace"):
        await keys.rotate(uuid4(), grace=timedelta(-1))
    with pytest.raises(NotFoundError):
        await keys.revoke(uuid4())


def test_a_role_may_do_what_the_lesser_ones_may():
    for place, role in enumerate(Role):
        for required, other in enumerate(Role):
            caller = Caller(None, "somebody", role)
            if required <= place:
                caller.require(other)
            else:
                with pytest.raises(ForbiddenError, match=f"is {role}; this needs {other}"):
                    caller.require(other)
