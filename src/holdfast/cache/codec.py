"""Values to bytes and back, by type, never by pickle."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import msgspec

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

_DIGITS = frozenset(b"-0123456789")
_NONE = b"\xc0"
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Unreadable(Exception):  # noqa: N818 - not an error: a reader takes it for a miss
    """The stored bytes are not a value of the type that is asked for."""


class Codec(Protocol[T]):
    """Encodes and decodes values of one type."""

    def encode(self, key: str, value: T) -> bytes:
        """Return the bytes of *value*. Raises InvalidValueError for one that has none."""
        ...

    def decode(self, raw: bytes) -> T | None:
        """Return the value in *raw*. Raises Unreadable when it is not of this type."""
        ...


class TypeCodec(Generic[T]):
    """Encodes and decodes values of one type: what msgspec can, and what pydantic can beside it."""

    def __init__(self, kind: type[T]) -> None:
        self._kind: Any = Any if kind is object else kind
        adapter = None if _native(self._kind) else _pydantic(kind)
        self._dump: Callable[[T], object] | None = adapter and adapter[0]
        self._load: Callable[[object], T] | None = adapter and adapter[1]
        self._plain: Callable[[bytes], Any] = msgspec.msgpack.Decoder(
            Any if adapter else self._kind
        ).decode

    def encode(self, key: str, value: T) -> bytes:
        """Return the bytes of *value*. Raises InvalidValueError for one that has none."""
        try:
            plain = value if self._dump is None or value is None else self._dump(value)
            if type(plain) is int:
                return _digits(plain)
            encoded = _encode(plain)
            if encoded[0] < 0x80:  # an enum's small number, which would pass for digits
                return _digits(encoded[0])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidValueError("cache", repr(key), f"can't be stored: {error}") from None
        return encoded

    def decode(self, raw: bytes) -> T | None:
        """Return the value in *raw*. Raises Unreadable when it is not of this type."""
        try:
            if raw[0] in _DIGITS:
                number = int(raw)
                if self._load is not None:
                    return self._load(number)
                return cast("T", number) if self._kind in (int, Any) else self._convert(number)
            if self._load is None:
                return cast("T", self._plain(raw))
            return None if raw == _NONE else self._load(self._plain(raw))
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            if raw == _NONE:  # which is a value of every type
                return None
            raise Unreadable(str(error)) from None

    def _convert(self, number: int) -> T:
        return cast("T", msgspec.convert(number, self._kind))


_encode = msgspec.msgpack.Encoder().encode


def _digits(number: int) -> bytes:
    if not _INT_MIN <= number <= _INT_MAX:
        raise OverflowError(f"{number} does not fit in 64 bits")
    return b"%d" % number


def codec_of(kind: type[T]) -> Codec[T]:
    """Return the codec of *kind*. Raises InvalidValueError when neither library knows it."""
    return cast("Codec[T]", _codecs(cast("Hashable", kind)))


@lru_cache(maxsize=1024)
def _codecs(kind: object) -> object:
    return TypeCodec(cast("type[object]", kind))


def _native(kind: object) -> bool:
    info = msgspec.inspect
    try:
        return not _has_custom(info.type_info(cast("Any", kind)))
    except (TypeError, NameError):  # an entity's annotations are not those of a dataclass
        return False


def _has_custom(found: object) -> bool:
    """Return whether a type that msgspec does not know stands anywhere in *found*."""
    todo, seen = [found], set[int]()
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, msgspec.inspect.CustomType):
            return True
        if isinstance(item, (list, tuple)):
            todo.extend(item)
        elif isinstance(item, msgspec.inspect.Field):
            todo.append(item.type)
        elif isinstance(item, msgspec.inspect.Type):
            todo.extend(
                getattr(item, name)
                for name in item.__struct_fields__
                if name not in {"cls", "default"}
            )
    return False


def _pydantic(kind: type[T]) -> tuple[Callable[[T], object], Callable[[object], T]]:
    from pydantic import PydanticSchemaGenerationError, TypeAdapter  # noqa: PLC0415 - slow to import

    from holdfast.records.entities.pydantic_schema import STORED  # noqa: PLC0415 - pydantic with it

    try:
        adapter = TypeAdapter(kind)
    except PydanticSchemaGenerationError as error:
        raise InvalidValueError("cache", "type", f"{kind!r} can't be stored: {error}") from None
    return (
        lambda value: adapter.dump_python(value, mode="json"),
        lambda value: adapter.validate_python(value, context=STORED),
    )
