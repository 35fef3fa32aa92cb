"""Stores on the emulators of DynamoDB, which `make services` starts."""

import os
from urllib.parse import quote, urlsplit

from servers import url_of

REGION = "eu-central-1"


def endpoint_of(name):
    """Return the address of the emulator; its keys go into the environment of AWS programs."""
    parts = urlsplit(url_of(name))
    os.environ.setdefault("AWS_ACCESS_KEY_ID", parts.username)
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", parts.password)
    return f"http://{parts.hostname}:{parts.port}"


def store_url(name, prefix, *, scan=True, **options):
    """Return the URL of a store there whose tables begin with *prefix*."""
    said = "".join(f"&{key}={value}" for key, value in options.items())
    where = quote(endpoint_of(name), safe="")
    return f"dynamodb://{REGION}/{prefix}?endpoint_url={where}&scan={str(scan).lower()}{said}"
