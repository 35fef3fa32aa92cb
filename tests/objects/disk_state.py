"""What lies under the root of a bucket on disk, compared with what its records name."""

from holdfast.objects.drivers.disk.record import decode


def files_below(folder):
    return {path for path in folder.rglob("*") if not path.is_dir()}


def strays(root):
    """Files that no record names, and records that name no file."""
    hidden = root / ".holdfast"
    records = files_below(hidden / "records")
    named = {root / decode(path.read_bytes(), str(path)).data for path in records}
    locks = files_below(hidden / "locks")
    full_locks = {path for path in locks if path.stat().st_size}
    return (files_below(root) - records - locks) ^ named | full_locks


def empty_folders(root):
    folders = {path for path in root.rglob("*") if path.is_dir()}
    kept = {root / ".holdfast" / name for name in ("records", "temporary", "locks")}
    return {path for path in folders - kept if not any(path.iterdir())}
