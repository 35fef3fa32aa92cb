"""Entries in a Redis or Valkey server."""

from holdfast.cache.drivers.redis.driver import RedisDriver
from holdfast.cache.drivers.redis.session import Login, primary_by_sentinel
from holdfast.cache.drivers.redis.wire import Endpoint, connect, connect_blocking

__all__ = [
    "Endpoint",
    "Login",
    "RedisDriver",
    "connect",
    "connect_blocking",
    "primary_by_sentinel",
]
