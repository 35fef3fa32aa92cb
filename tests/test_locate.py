"""URLs as people write them, and what messages say of them."""

import pytest

from holdfast.errors import ConfigurationError
from holdfast.locate import locate, shown


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://alice:secret@host:5432/name", "postgresql://alice:***@host:5432/name"),
        ("postgresql://alice:se@cret@host/name", "postgresql://alice:***@host/name"),
        ("postgresql://alice:se/cret@host/name", "postgresql://alice:***@host/name"),
        ("redis://:secret@host/0", "redis://:***@host/0"),
        ("s3://bucket?secret_key=secret&region=x", "s3://bucket?secret_key=...&region=..."),
        ("sqlite:///app.db", "sqlite:///app.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_secret_in_a_url_is_not_shown(url, public):
    assert shown(url) == public


@pytest.mark.parametrize(
    "url",
    [
        "mongo://alice:secret@host/name",
        "memory://alice:secret@[host/name",
        "memory://alice:secret@host/?a=secret&a=secret",
    ],
)
def test_no_refusal_tells_a_secret(url):
    with pytest.raises(ConfigurationError) as refusal:
        locate(url, ("memory",))
    assert "secret" not in str(refusal.value)
