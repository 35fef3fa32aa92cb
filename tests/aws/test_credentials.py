"""Where access keys come from, and how long they are held."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.aws.credentials import Credentials, find_credentials, from_files
from holdfast.aws.signature import CredentialProvider
from holdfast.blocking import run
from holdfast.errors import ConfigurationError
from holdfast.offload import Inline

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_secrets_are_not_shown():
    assert "secret" not in repr(Credentials("key", "secret", "secret-token"))


@pytest.mark.parametrize("bad", ["", "a b", "line\nline", "ü"])
def test_what_is_no_key_is_refused(bad):
    with pytest.raises(ConfigurationError):
        Credentials(bad, "secret")


def test_the_environment_comes_first_and_half_a_key_is_an_error():
    environment = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert find_credentials(environment)() == Credentials("key", "secret")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY is not set"):
        find_credentials({"AWS_ACCESS_KEY_ID": "key"})()


def test_a_profile_is_read_from_either_file(tmp_path):
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b%c\n"
        "[half]\naws_access_key_id = a\n"
    )
    (tmp_path / "config").write_text(
        "[profile other]\naws_access_key_id = c\naws_secret_access_key = d\naws_session_token = e\n"
    )
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    assert from_files(environment) == Credentials("a", "b%c")
    assert from_files({**environment, "AWS_PROFILE": "other"}) == Credentials("c", "d", "e")
    assert from_files({**environment, "AWS_PROFILE": "none"}) is None
    with pytest.raises(ConfigurationError, match="half"):
        from_files({**environment, "AWS_PROFILE": "half"})
    (tmp_path / "credentials").write_text("no section")
    with pytest.raises(ConfigurationError, match="can't be read"):
        from_files(environment)


def test_keys_are_held_until_shortly_before_they_expire():
    given = []
    now = [NOW]

    def provide():
        given.append(Credentials(f"key{len(given)}", "s", expires=now[0] + timedelta(hours=1)))
        return given[-1]

    wallet = CredentialProvider(provide, lambda: now[0])
    assert run(wallet.current(Inline())) is run(wallet.current(Inline())) is given[0]
    now[0] += timedelta(minutes=56)
    assert run(wallet.current(Inline())) is given[1]


def test_keys_that_are_expired_are_refused():
    stale = Credentials("key", "s", expires=NOW - timedelta(seconds=1))
    with pytest.raises(ConfigurationError, match="expired"):
        run(CredentialProvider(lambda: stale, lambda: NOW).current(Inline()))


def test_what_only_botocores_chain_knows_comes_through_it(tmp_path, monkeypatch):
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    told = {
        "Version": 1,
        "AccessKeyId": "of-a-process",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": ends,
    }
    (tmp_path / "told.json").write_text(json.dumps(told))
    (tmp_path / "config").write_text(
        f"[profile chained]\ncredential_process = cat {tmp_path / 'told.json'}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "chained")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    found = find_credentials(os.environ)()
    assert (found.access_key, found.secret_key, found.session_token) == (
        "of-a-process",
        "secret",
        "token",
    )
    # The chain renews by itself, so it is asked again in a while.
    assert found.expires is not None
    assert found.expires < datetime.now(UTC) + timedelta(minutes=11)


def test_a_profile_that_botocore_does_not_know_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="missing"):
        find_credentials(os.environ)()
