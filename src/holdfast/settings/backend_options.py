"""What the settings ask of each backend, as the options that it takes."""

from __future__ import annotations

import hmac
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.access.openid_provider import OpenIDProvider
    from holdfast.domain import DomainLimits
    from holdfast.objects import S3Options
    from holdfast.records.options import StoreOptions
    from holdfast.settings.settings import Settings


def store_options(settings: Settings) -> StoreOptions:
    """Return the options of the store that *settings* name.

    A parameter of the store's URL wins over them.
    """
    from holdfast.records.options import (  # noqa: PLC0415 - slow to import
        DynamoDBOptions,
        MariaDBOptions,
        MemoryOptions,
        MySQLOptions,
        PostgreSQLOptions,
        SQLiteOptions,
    )
    from holdfast.records.store_url import parse_store_url  # noqa: PLC0415 - the same

    storage = settings.storage
    scheme = parse_store_url(settings.store_url).scheme
    chosen: StoreOptions
    if scheme == "memory":
        chosen = MemoryOptions(lock_timeout=storage.memory.lock_timeout)
    elif scheme == "sqlite":
        chosen = SQLiteOptions()
    elif scheme == "dynamodb":
        own = storage.dynamodb
        chosen = DynamoDBOptions(endpoint_url=own.endpoint_url, scan=own.scan)
    else:
        sql = storage.sql
        kinds: dict[str, type[PostgreSQLOptions | MariaDBOptions | MySQLOptions]] = {
            "postgresql": PostgreSQLOptions,
            "mariadb": MariaDBOptions,
            "mysql": MySQLOptions,
        }
        chosen = kinds[scheme](
            pool_size=sql.pool_size,
            max_overflow=sql.max_overflow,
            echo=sql.echo,
            slow_statement=sql.slow_statement,
        )
    return replace(chosen, measure=storage.measure, slow_operation=storage.slow_operation)


def domain_limits(settings: Settings) -> DomainLimits:
    """Return what domains may let callers send and cost."""
    from holdfast.domain import DomainLimits  # noqa: PLC0415 - needed where a platform is opened

    limits = settings.limits
    return DomainLimits(
        upload=int(limits.upload),
        project_bytes=int(limits.project_bytes),
        upload_age=limits.upload_age,
        decoder_memory=int(limits.decoder_memory),
        decoder_cpu=limits.decoder_cpu,
        decoder_silence=limits.decoder_silence,
    )


def s3_options(settings: Settings) -> S3Options:
    """Return the options of a bucket on S3; a parameter of its URL wins over them.

    Raises ConfigurationError for what S3 can't be told.
    """
    from holdfast.aws.credentials import (  # noqa: PLC0415 - for S3 alone
        Credentials,
        find_credentials,
    )
    from holdfast.objects import S3Options  # noqa: PLC0415 - slow to import

    s3 = settings.s3
    credentials: Credentials | Callable[[], Credentials] | None = None
    if s3.access_key:
        credentials = Credentials(s3.access_key, s3.secret_key, s3.session_token or None)
    elif s3.profile:
        credentials = find_credentials({**os.environ, "AWS_PROFILE": s3.profile})
    return S3Options(
        endpoint_url=settings.s3_endpoint_url,
        region=s3.region,
        create=s3.create,
        encryption="AES256" if s3.encryption else "",
        multipart=int(s3.multipart_threshold),
        connections=s3.max_connections,
        credentials=credentials,
    )


def cursor_secrets(settings: Settings) -> tuple[str, ...]:
    """Return what signs the cursors of pages: of the current key that seals jobs, then the others.

    None where no key is set. A key does one thing alone: a secret is the first block that HKDF
    (RFC 5869) expands a key to under a label of its own, and tells nothing of the key.
    """
    if not settings.jobs.keys:
        return ()
    from holdfast.jobs.sealing_keys import current_id, parse_keys  # noqa: PLC0415 - slow to import

    keys = parse_keys(settings.jobs.keys)
    current = keys.pop(current_id(keys, settings.jobs.current_key))
    label = b"holdfast: cursors of pages\x01"
    return tuple(hmac.digest(key, label, "sha256").hex() for key in (current, *keys.values()))


def login_provider(settings: Settings) -> OpenIDProvider | None:
    """Return by whom people are known who log in without a key, None for nobody.

    Nothing is asked yet. Raises ConfigurationError for settings that let nobody in, and when the
    extra `oidc` is missing.
    """
    login = settings.login
    if not login.issuer:
        return None
    for name, given in (("client_id", login.client_id), ("roles", login.roles)):
        if not given:
            raise ConfigurationError(f"login.issuer is set, and login.{name} is not")
    from holdfast.access import Role  # noqa: PLC0415 - slow to import

    with needs_extra("oidc", "login by OpenID Connect"):
        from holdfast.access.openid_provider import (  # noqa: PLC0415 - an extra
            OpenIDProvider,
            ProviderOptions,
        )
    pairs = [each.rpartition("=") for each in login.roles]
    return OpenIDProvider(
        ProviderOptions(
            issuer=login.issuer,
            client_id=login.client_id,
            client_secret=login.client_secret,
            scopes=login.scopes,
            role_claim=login.role_claim,
            roles={group.strip(): Role(role.strip()) for group, _, role in pairs},
        )
    )
