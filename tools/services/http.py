"""One HTTP request to a server, and its answer."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.address import ANSWER_WITHIN, parse
from tools.services.failure import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Mapping

MUCH = 4096  # bytes of an answer that tell what answered


@dataclass(frozen=True)
class Answer:
    """An answer's status and the beginning of its body."""

    status: int
    body: bytes


def request(
    url: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to the server of *url*; raises NotReadyError for what is not HTTP."""
    address = parse(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=ANSWER_WITHIN)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(MUCH))
    except http.client.HTTPException as error:
        raise NotReadyError(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()
