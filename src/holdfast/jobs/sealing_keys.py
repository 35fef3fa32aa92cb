"""Keys by which payloads and results of jobs are sealed: AES-256-GCM, bound to the job."""

from __future__ import annotations

import base64
import binascii
import os
import re
from copy import copy
from typing import TYPE_CHECKING, Self, cast

import orjson

from holdfast.errors import (
    ConfigurationError,
    IntegrityError,
    JobKeyMissingError,
)
from holdfast.extras import needs_extra
from holdfast.jobs.job import Job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

_BYTES = 32
_NONCE = 12
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY, _SEALED = "holdfast:key", "holdfast:sealed"


class JobKeys:
    """Keys of 32 random bytes by id: what is new is sealed by *current*, all open what they sealed.

    To change keys, give every process the new one, then make it current, and drop the old one when
    no job that it sealed is kept any more. A value is bound to its job and field: copied into
    another job it does not open.
    Raises ConfigurationError for a key of another length, and without the extra `signing`.
    """

    def __init__(self, keys: Mapping[str, bytes], *, current: str) -> None:
        with needs_extra("signing", "sealing payloads of jobs"):
            from cryptography.exceptions import (  # noqa: PLC0415 - an extra
                InvalidTag,
            )
            from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415 - an extra
                AESGCM,
            )
        for name, key in keys.items():
            if not isinstance(key, bytes) or len(key) != _BYTES:
                raise ConfigurationError(f"the key {name!r}: expected {_BYTES} random bytes")
        if current not in keys:
            raise ConfigurationError(f"current={current!r}: expected {_one_of(keys)}")
        self._invalid = InvalidTag
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self.current = current

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys."""
        return tuple(self._ciphers)

    @classmethod
    def parse(cls, text: str, *, current: str = "") -> Self:
        """Return the keys that *text* says, as `parse_keys` reads them.

        Without *current* there must be one key alone. Raises ConfigurationError.
        """
        keys = parse_keys(text)
        return cls(keys, current=current_id(keys, current))

    def seal(self, job_id: UUID, field: str, value: object) -> dict[str, object]:
        """Return *value*, which is JSON, as it is stored in *field* of the job.

        Raises InvalidValueError for what is not JSON.
        """
        if field == "payload":
            Job.payload.to(cast("dict[str, object]", value))  # as plain as it would be unsealed
        else:
            Job.result.to(value)
        plain = orjson.dumps(value)
        nonce = os.urandom(_NONCE)
        cipher = self._ciphers[self.current]
        sealed = nonce + cipher.encrypt(nonce, plain, _bound(job_id, field))
        return {_KEY: self.current, _SEALED: base64.b64encode(sealed).decode()}

    def open(self, job_id: UUID, field: str, stored: object) -> object:
        """Return the value that *stored* holds; what is not sealed is returned as it is.

        Raises JobKeyMissingError without the key, and IntegrityError when the key does not open it.
        """
        if not is_sealed(stored):
            return stored
        assert isinstance(stored, dict)
        name = stored[_KEY]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise JobKeyMissingError(job_id, name)
        try:
            sealed = base64.b64decode(stored[_SEALED], validate=True)
            plain = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(job_id, field))
        except (self._invalid, binascii.Error, ValueError, TypeError):
            raise IntegrityError(
                f"the {field} of job {job_id} does not open by the key {name!r}: it was changed, "
                "or that key is another one here"
            ) from None
        value: object = orjson.loads(plain)
        return value


def parse_keys(text: str) -> dict[str, bytes]:
    """Return keys by id from *text*: `april:` and 32 bytes in base64, a line or a comma apart.

    Raises ConfigurationError, which shows nothing of a key.
    """
    keys: dict[str, bytes] = {}
    entries = [entry.strip() for entry in re.split(r"[,\r\n]", text) if entry.strip()]
    for number, entry in enumerate(entries, 1):
        name, colon, encoded = entry.partition(":")
        if not colon or not _ID.fullmatch(name):  # it may be a key without an id
            raise ConfigurationError(f"key {number} has no id: expected one such as april:BASE64")
        if name in keys:
            raise ConfigurationError(f"the key {name!r} is there twice")
        try:
            keys[name] = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            keys[name] = b""
        if len(keys[name]) != _BYTES:
            raise ConfigurationError(
                f"the key {name!r}: expected {_BYTES} random bytes in base64, as "
                f"`openssl rand -base64 {_BYTES}` prints them"
            )
    if not keys:
        raise ConfigurationError("there is no key")
    return keys


def current_id(keys: Mapping[str, bytes], wanted: str) -> str:
    """Return which of *keys* seals: the one *wanted*, or '' for the only one there is.

    Raises ConfigurationError.
    """
    if not wanted and len(keys) == 1:
        return next(iter(keys))
    if wanted not in keys:
        raise ConfigurationError(_one_of(keys))
    return wanted


def _one_of(keys: Mapping[str, bytes]) -> str:
    return f"one of the keys: {', '.join(map(repr, keys)) or 'none'}"


def is_sealed(stored: object) -> bool:
    """Return whether *stored* is a value that was sealed."""
    return (
        isinstance(stored, dict)
        and stored.keys() == {_KEY, _SEALED}
        and all(isinstance(value, str) for value in stored.values())
    )


def opened(keys: JobKeys | None, job: Job) -> Job:
    """Return *job* with the values that its fields had before they were sealed.

    Raises JobKeyMissingError without the key, and IntegrityError for what was changed.
    """
    values: dict[str, object] = {"payload": job.payload, "result": job.result}
    sealed = {name: value for name, value in values.items() if is_sealed(value)}
    if not sealed:
        return job
    copied = copy(job)
    for name, value in sealed.items():
        if keys is None:
            assert isinstance(value, dict)
            raise JobKeyMissingError(job.id, value[_KEY])
        setattr(copied, name, keys.open(job.id, name, value))
    return copied


def _bound(job_id: UUID, field: str) -> bytes:
    return f"{job_id}/{field}".encode()
