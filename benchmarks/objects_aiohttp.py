"""The S3 driver with aiohttp in the place of its own wire: what that wire saves.

It does what the benchmark needs and no more: no total deadline, no early answers, no check that a
connection is clean. So it errs in aiohttp's favour.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.aws.endpoint import HTTPEndpoint
    from holdfast.aws.http import Deadline, HTTPRequest, Limits
    from holdfast.aws.network import Network

_MOST_AT_ONCE = 256 * 1024


class AiohttpClient:
    """Stands in for `holdfast.aws.client.HTTPClient`."""

    def __init__(self, network: Network, endpoint: HTTPEndpoint, limits: Limits) -> None:
        self.network = network
        self.endpoint = endpoint
        self.authority = endpoint.authority
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HTTPRequest, _deadline: Deadline) -> AiohttpResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limits.connections),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
                timeout=aiohttp.ClientTimeout(sock_read=self._limits.read),
            )
        scheme = "https" if self.endpoint.secure else "http"
        body = request.body
        answer = await self._session.request(
            request.method,
            URL(f"{scheme}://{self.authority}{request.target}", encoded=True),
            headers=request.headers,
            data=body if isinstance(body, bytes) else body.windows(),
            allow_redirects=False,
        )
        return AiohttpResponse(answer)

    def close(self) -> None:
        if self._session is not None:
            self._closing = asyncio.get_running_loop().create_task(self._session.close())


class AiohttpResponse:
    """Stands in for `holdfast.aws.client.HTTPResponse`."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = {
            name.lower(): text for name, text in answer.headers.items()
        }

    async def receive(self) -> bytes:
        return await self._answer.content.read(_MOST_AT_ONCE)

    async def read(self, _most: int) -> bytes:
        return await self._answer.read()

    def close(self) -> None:
        self._answer.release()
