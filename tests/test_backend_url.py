"""URLs as people write them, and what messages say of them."""

import pytest

from holdfast import open_bucket, open_cache, open_store
from holdfast.aws.endpoint import endpoint_of
from holdfast.backend_url import file_path, parse_url, redacted
from holdfast.errors import ConfigurationError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://alice:secret@host:5432/name", "postgresql://***@host:5432/name"),
        ("postgresql://alice:se@cret@host/name", "postgresql://***@host/name"),
        ("postgresql://alice:se/cret@host/name", "postgresql://***@host/name"),
        ("redis://bob:se/cr#e?t@pw@h:6379/0", "redis://***"),
        ("redis://bob:se/cr#et@pw@h:6379/0", "redis://***@h:6379/0"),
        ("redis://bob:se://cret@h", "redis://***@h"),
        ("bob:se://cret@h", "***@h"),
        ("bob:secret@h", "***@h"),
        ("https://token@h/x?a=b", "https://***@h/x?a=..."),
        ("postgresql://h/name?password=sec@ret", "postgresql://***"),
        ("redis://:secret@host/0", "redis://***@host/0"),
        ("s3://bucket?secret_key=secret&region=x", "s3://bucket?secret_key=...&region=..."),
        ("sqlite:///app.db", "sqlite:///app.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_secret_in_a_url_is_not_shown(url, public):
    assert redacted(url) == public


@pytest.mark.parametrize(
    "url",
    [
        "mongo://alice:secret@host/name",
        "memory://alice:secret@[host/name",
        "memory://alice:[secret]@host/name",
        "memory://alice:secret\N{ACCOUNT OF}@host/name",
        "memory://alice:secret@host/?a=secret&a=secret",
        "memory://?secret@h=1&secret@h=2",
        "alice:secret@host",
        "alice:secret://x@host",
        "memory:alice:secret@host",
    ],
)
def test_no_refusal_tells_a_secret(url):
    with pytest.raises(ConfigurationError) as refusal:
        parse_url(url, ("memory",))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("login", ["key:[secret]", "key:secret\N{ACCOUNT OF}", "key:a/secret"])
def test_an_endpoint_that_cannot_be_read_is_refused_untold(login):
    with pytest.raises(ConfigurationError, match="endpoint") as refusal:
        endpoint_of(f"https://{login}@host")
    assert "secret" not in str(refusal.value)


def test_a_host_where_a_path_should_be_is_named_without_who_logs_in():
    with pytest.raises(ConfigurationError, match=r"the host '\*\*\*@host'"):
        file_path(parse_url("sqlite://alice:secret@host/app.db", ("sqlite",)))


OPENERS = {
    "postgresql": lambda url: open_store(url, []),
    "mariadb": lambda url: open_store(url, []),
    "sqlite": lambda url: open_store(url, []),
    "redis": open_cache,
    "rediss": open_cache,
    "redis+sentinel": open_cache,
    "redis+cluster": open_cache,
    "s3": open_bucket,
    "file": open_bucket,
}


@pytest.mark.parametrize("scheme", OPENERS)
@pytest.mark.parametrize("user", ["bob", "", "bob:12", "bob:pw@x"])
@pytest.mark.parametrize(
    "password", ["a/secret", "12/secret", "a#secret", "a?secret", "1?secret=2"]
)
async def test_a_password_that_is_not_escaped_is_refused_untold(scheme, user, password):
    with pytest.raises(ConfigurationError, match=r"%2F, %23 and %3F") as refusal:
        async with OPENERS[scheme](f"{scheme}://{user}:{password}@h:6379/0"):
            pass
    assert "secret" not in str(refusal.value)
    assert "bob" not in str(refusal.value)


@pytest.mark.parametrize("opener", [open_cache, open_bucket, lambda url: open_store(url, [])])
async def test_what_is_no_url_is_refused_untold(opener):
    with pytest.raises(ConfigurationError, match=r"'\*\*\*@h' is not a URL") as refusal:
        async with opener("bob:secret@h"):
            pass
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["redis:///secret@h", "redis://?secret@h:1/0", "redis://?timeout=secret@h"]
)
def test_a_login_without_a_host_before_it_is_not_told_either(url):
    with pytest.raises(ConfigurationError) as refusal:
        open_cache(url)
    assert "secret" not in str(refusal.value)


def test_an_at_sign_is_no_secret_where_no_host_is_or_where_it_is_escaped():
    assert file_path(parse_url("sqlite:///me@work/app.db", ("sqlite",))).name == "app.db"
    assert parse_url("redis://h:1/0?prefix=a%40b", ("redis",)).query == {"prefix": "a@b"}
    assert parse_url("redis://bob:s%2Fx%40y@h/0", ("redis",)).host == "bob:s%2Fx%40y@h"
