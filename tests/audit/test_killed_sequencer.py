"""A sequencer that is killed at any step leaves a log that verifies, and the next goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audited_entities import Project, audited_store
from holdfast import open_bucket
from holdfast.audit import AuditEntry, Sequencer, StoreLog, verify_log
from holdfast.audit.checkpoint_export import CheckpointExport
from holdfast.domain import RoleBucket
from servers import database_on

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
KILLS = int(os.environ.get("HOLDFAST_TEST_KILLS", "3"))


def sequence(url, signer, folder, step):
    """Run the process; return what it printed, or the signal that ended it."""
    done = subprocess.run(
        [sys.executable, str(HERE / "sequencer_process.py"), url, signer.text(), folder, str(step)],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return int(done.stdout) if done.returncode == 0 else None


async def test_each_step_may_be_the_last(signer, tmp_path):
    """Two batches and their copies; the steps are spread over all, commit and put included."""
    folder = str(tmp_path / "kept")
    with database_on("postgresql") as url:
        async with audited_store(url) as store:
            await fill(store)
            assert sequence(url, signer, folder, 0), "the first one makes the log's head too"
            await fill(store)
            steps = sequence(url, signer, folder, 0)
            for number in range(KILLS):
                await fill(store)
                step = 1 + (number * (steps - 1)) // max(KILLS - 1, 1)
                assert sequence(url, signer, folder, step) is None, "it was killed"
                found = await verify_log(StoreLog(store), key=signer.verifier)
                assert found.ok, (step, found.findings)
                await Sequencer(store, signer, origin="test.example/audit").run(batch=5)
                async with open_bucket(f"file://{folder}") as bucket:
                    copies = CheckpointExport(RoleBucket(bucket))
                    await copies.run(store)
                    kept, leaves = await copies.notes(), await copies.leaves()
                found = await verify_log(StoreLog(store, leaves), key=signer.verifier, kept=kept)
                assert found.ok, (step, found.findings)
                total = await store.repository(AuditEntry).count()
                assert (found.size, found.waiting, len(leaves)) == (total, 0, total)


async def fill(store):
    await store.repository(Project).add_many([Project(name=os.urandom(8).hex()) for _ in range(8)])
