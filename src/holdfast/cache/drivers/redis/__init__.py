"""Entries in Redis or Valkey servers."""

from holdfast.cache.drivers.redis.cluster import ClusterLink, at_once, in_turn
from holdfast.cache.drivers.redis.driver import RedisDriver
from holdfast.cache.drivers.redis.link import PrimaryLink
from holdfast.cache.drivers.redis.session import Login, primary_by_sentinel
from holdfast.cache.drivers.redis.tracked import TrackedRedisDriver
from holdfast.cache.drivers.redis.wire import Endpoint, connect, connect_blocking

__all__ = [
    "ClusterLink",
    "Endpoint",
    "Login",
    "PrimaryLink",
    "RedisDriver",
    "TrackedRedisDriver",
    "at_once",
    "connect",
    "connect_blocking",
    "in_turn",
    "primary_by_sentinel",
]
