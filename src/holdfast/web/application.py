"""The platform's application: its domains' routes under `/api/v1`, behind the gate and the shield."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from holdfast.access.gate import Gate
from holdfast.fastapi import BackgroundJobs, Holdfast
from holdfast.platform import open_platform
from holdfast.web.docs_page import add_docs_page
from holdfast.web.shield import Shield

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
