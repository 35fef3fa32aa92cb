"""The table of capabilities in the documentation says what the drivers say."""

from pathlib import Path

from holdfast.objects import BucketCapability
from holdfast.objects.drivers.disk import DiskDriver
from holdfast.objects.drivers.memory import MemoryBucketDriver
from holdfast.objects.drivers.s3.server_profile import server_profile_of

PAGE = Path(__file__).parents[2] / "docs/objects.md"
COLUMNS = {
    "memory": MemoryBucketDriver.capabilities,
    "disk": DiskDriver.capabilities,
    "AWS": server_profile_of("AmazonS3").capabilities,
    "MinIO": server_profile_of("MinIO").capabilities,
    "Versity": server_profile_of("VERSITYGW").capabilities,
    "another S3": server_profile_of("nginx").capabilities,
}


def table():
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for capability in sorted(BucketCapability):
        cells = ["yes" if capability in can else "no" for can in COLUMNS.values()]
        lines.append(f"| {capability} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_published_matrix_is_the_drivers_own():
    assert table() in PAGE.read_text(), f"docs/objects.md lacks this table:\n{table()}"
