"""Entries in Redis or Valkey servers: one server, Sentinel, or a Redis Cluster."""
