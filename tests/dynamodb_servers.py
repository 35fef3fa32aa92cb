"""Stores on the emulators of DynamoDB, which `make services` starts."""

import os
from urllib.parse import quote, urlsplit

from servers import url_of

REGION = "eu-central-1"


def endpoint_of(name):
    """Return the address of the emulator; its keys go into the environment of AWS programs."""
    return endpoint_at(url_of(name))


def endpoint_at(url):
    """Do as `endpoint_of`, for the emulator at *url*."""
    parts = urlsplit(url)
    os.environ.setdefault("AWS_ACCESS_KEY_ID", parts.username)
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", parts.password)
    return f"http://{parts.hostname}:{parts.port}"


def store_url(name, prefix, *, scan=True, **options):
    """Return the URL of a store there whose tables begin with *prefix*."""
    return store_url_at(endpoint_of(name), prefix, scan=scan, **options)


def store_url_at(endpoint, prefix, *, scan=True, **options):
    """Return the URL of a store at *endpoint*; see `store_url`."""
    said = "".join(f"&{key}={value}" for key, value in options.items())
    where = quote(endpoint, safe="")
    return f"dynamodb://{REGION}/{prefix}?endpoint_url={where}&scan={str(scan).lower()}{said}"
