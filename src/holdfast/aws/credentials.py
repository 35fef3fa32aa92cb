"""Credentials: access keys, and the places where they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.aws.profile import read_file
from holdfast.clock import utc_now
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Credentials:
    """One access key; its secrets are not shown.

    *expires*: the aware time at which it ends, None for never. *look_again*: the aware time at
    which its source is asked again, though it holds on; None for not before it expires.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    look_again: datetime | None = None

    def __post_init__(self) -> None:
        for name, text in (
            ("access key", self.access_key),
            ("secret key", self.secret_key),
            ("session token", self.session_token or "x"),
        ):
            if not text or not text.isascii() or not text.isprintable() or " " in text:
                raise ConfigurationError(f"the {name} must be printable ASCII without spaces")
        for moment in (self.expires, self.look_again):
            if moment is not None and moment.tzinfo is None:
                raise ConfigurationError("the times of credentials must be aware")

    def until(self, moment: datetime) -> datetime:
        """Return *moment*, or the end of these where that is earlier."""
        return moment if self.expires is None else min(moment, self.expires)

    def is_same_key(self, other: Credentials) -> bool:
        """Return whether a service could not tell *other* from these."""
        return (self.access_key, self.secret_key, self.session_token) == (
            other.access_key,
            other.secret_key,
            other.session_token,
        )


def static(access_key: str, secret_key: str, session_token: str | None = None) -> Credentials:
    """Return credentials that never expire. Raises ConfigurationError for what can't be one."""
    return Credentials(access_key, secret_key, session_token)


def find_credentials(environment: Mapping[str, str]) -> Callable[[], Credentials]:
    """Return a provider that looks where AWS users keep their keys, at each renewal.

    First ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, unless
    ``AWS_PROFILE`` is set; then that profile, or ``default``, in the shared credentials file; then
    botocore's chain (SSO, assumed roles, instance roles) where botocore is installed. The
    provider raises ConfigurationError, which says where it looked.
    """

    def provide() -> Credentials:
        profile = environment.get("AWS_PROFILE")
        found = None if profile else from_environment(environment)
        return found or from_files(environment) or _from_botocore(profile)

    return provide


def from_environment(environment: Mapping[str, str]) -> Credentials | None:
    """Return the access key in *environment*, None when there is none.

    Raises ConfigurationError for half a key.
    """
    access = environment.get("AWS_ACCESS_KEY_ID", "")
    secret = environment.get("AWS_SECRET_ACCESS_KEY", "")
    if not access and not secret:
        return None
    if not access or not secret:
        lacking = "AWS_SECRET_ACCESS_KEY" if access else "AWS_ACCESS_KEY_ID"
        raise ConfigurationError(f"{lacking} is not set, but the other half of the key is")
    return Credentials(access, secret, environment.get("AWS_SESSION_TOKEN") or None)


def from_files(environment: Mapping[str, str]) -> Credentials | None:
    """Return the profile's static key from the shared files, None when there is none.

    The files are ``~/.aws/credentials`` and ``~/.aws/config``, or what
    ``AWS_SHARED_CREDENTIALS_FILE`` and ``AWS_CONFIG_FILE`` name. Raises ConfigurationError for a
    file that can't be read and for half a key.
    """
    profile = environment.get("AWS_PROFILE") or "default"
    places = (
        (environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", profile),
        (
            environment.get("AWS_CONFIG_FILE") or "~/.aws/config",
            profile if profile == "default" else f"profile {profile}",
        ),
    )
    for name, section in places:
        parser = read_file(name)
        if parser is None or not parser.has_section(section):
            continue
        values = parser[section]
        access = values.get("aws_access_key_id", "")
        secret = values.get("aws_secret_access_key", "")
        if bool(access) != bool(secret):
            raise ConfigurationError(f"{name}: [{section}] holds half of an access key")
        if access:
            token = values.get("aws_session_token") or None
            return Credentials(access, secret, token, look_again=_soon())  # it may be rotated
    return None


def _from_botocore(profile: str | None) -> Credentials:
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an optional extra
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "no AWS credentials: neither AWS_ACCESS_KEY_ID nor a key in the shared files"
            f"{f' for the profile {profile!r}' if profile else ''}; for SSO, assumed roles and "
            "instance roles: pip install 'holdfast[aws]'"
        ) from None
    try:
        held = Session(profile=profile).get_credentials()
        frozen = None if held is None else held.get_frozen_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(f"botocore finds no AWS credentials: {error}") from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise ConfigurationError(
            "no AWS credentials: neither AWS_ACCESS_KEY_ID nor a key in the shared files, "
            "and botocore's chain finds none"
        )
    ends = getattr(held, "_expiry_time", None)  # botocore tells it nowhere else
    renews = hasattr(held, "refresh_needed")
    return Credentials(
        frozen.access_key,
        frozen.secret_key,
        frozen.token,
        ends if isinstance(ends, datetime) and ends.tzinfo is not None else None,
        look_again=_soon() if renews else None,
    )


def _soon() -> datetime:
    return utc_now() + _LOOK_AGAIN
