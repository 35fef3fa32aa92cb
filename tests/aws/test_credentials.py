"""Where access keys come from, and how long they are held."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.aws.credential_provider import CredentialProvider
from holdfast.aws.credentials import Credentials, find_credentials, from_files
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
    found = from_files(environment)
    assert found.is_same_key(Credentials("a", "b%c"))
    assert found.expires is None
    assert found.look_again is not None  # the file may be written again
    other = from_files({**environment, "AWS_PROFILE": "other"})
    assert other.is_same_key(Credentials("c", "d", "e"))
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
    # The chain renews by itself, so it is asked again in a while; that is not its end.
    assert found.look_again < datetime.now(UTC) + timedelta(minutes=11)
    assert found.expires == datetime.fromisoformat(ends)


def test_a_profile_that_botocore_does_not_know_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="missing"):
        find_credentials(os.environ)()


def test_a_source_is_looked_at_again_before_its_keys_end_and_may_fail_then():
    now = [NOW]
    answers = [
        Credentials("first", "s", look_again=NOW + timedelta(minutes=10)),
        ConfigurationError("the file is being written"),
        Credentials("second", "s"),
    ]

    def provide():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    wallet = CredentialProvider(provide, lambda: now[0])

    def held():
        return run(wallet.current(Inline())).access_key

    assert held() == "first"
    now[0] += timedelta(minutes=9)
    assert held() == "first"
    now[0] += timedelta(minutes=2)
    assert held() == "first"
    assert held() == "first"
    assert len(answers) == 1  # it failed once, and is left alone for a minute
    now[0] += timedelta(minutes=2)
    assert held() == "second"


def test_keys_that_a_service_refused_are_asked_for_again_once_for_all():
    now = [NOW]
    answers = [Credentials("first", "s"), Credentials("second", "s"), Credentials("second", "s")]
    wallet = CredentialProvider(lambda: answers.pop(0), lambda: now[0])
    first = run(wallet.current(Inline()))
    assert not run(wallet.replaced(Inline(), first, sure=False))  # it was asked just now
    assert run(wallet.replaced(Inline(), first, sure=True))
    assert run(wallet.replaced(Inline(), first, sure=True))  # another request did it already
    second = run(wallet.current(Inline()))
    assert second.access_key == "second"
    now[0] += timedelta(minutes=2)
    assert not run(wallet.replaced(Inline(), second, sure=False))
    assert answers == []
