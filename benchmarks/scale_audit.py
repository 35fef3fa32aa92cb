"""What the audit's log costs as it grows, on SQLite: see scale.py."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path

from scale_records import size_of
from timing import cost, peak_memory

from holdfast import Entity, Field, field, key, open_store
from holdfast.audit import AuditHook, AuditLog, Sequencer, SignerKey
from holdfast.audit.audit_entry import AUDIT_ENTITIES

BATCH = 1_000
HEAD = ["entries", "added", "sequenced", "history", "MiB", "disk MiB"]


class Kept(Entity, table="scale_kept", audited=True):
    id: Field[uuid.UUID] = key(default_factory=uuid.uuid4)
    title: Field[str] = field(max_length=100)


async def measure(counts):
    """Yield the row of the table at each of *counts*."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/audit.db"
        async with open_store(url, [Kept, *AUDIT_ENTITIES], hooks=[AuditHook()]) as store:
            await store.create_schema()
            kept, log = store.repository(Kept), AuditLog(store)
            sequencer = Sequencer(
                store, SignerKey.generate("scale.example"), origin="scale.example"
            )
            size = 0
            for count in counts:
                cpu, before = time.process_time(), size
                while size < count:
                    await kept.add_many([Kept(title=f"kept {each}") for each in range(BATCH)])
                    size += BATCH
                added = (time.process_time() - cpu) / (size - before) * 1e6
                cpu = time.process_time()
                await sequencer.run()
                sequenced = (time.process_time() - cpu) / (size - before) * 1e6
                a_key = (await kept.first()).id
                history = await cost(lambda: log.history(Kept, a_key), 50)  # noqa: B023
                disk = size_of(Path(folder))
                figures = f"{added:,.0f}", f"{sequenced:,.0f}", f"{history[0]:,.0f}"
                yield [f"{count:,}", *figures, f"{peak_memory():.0f}", f"{disk >> 20}"]
