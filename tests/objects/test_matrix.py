"""The table of capabilities in the documentation says what the drivers say."""

from pathlib import Path

from holdfast.objects import Capability
from holdfast.objects.drivers.disk import DiskDriver
from holdfast.objects.drivers.memory import MemoryDriver
from holdfast.objects.drivers.s3.profile import profile_of

PAGE = Path(__file__).parents[2] / "docs/objects.md"
COLUMNS = {
    "memory": MemoryDriver.capabilities,
    "disk": DiskDriver.capabilities,
    "AWS": profile_of("AmazonS3").capabilities,
    "MinIO": profile_of("MinIO").capabilities,
    "Versity": profile_of("VERSITYGW").capabilities,
    "another S3": profile_of("nginx").capabilities,
}


def table():
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for capability in sorted(Capability):
        cells = ["yes" if capability in can else "no" for can in COLUMNS.values()]
        lines.append(f"| {capability} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_published_matrix_is_the_drivers_own():
    assert table() in PAGE.read_text(), f"docs/objects.md lacks this table:\n{table()}"
