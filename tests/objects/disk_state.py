"""What lies under the root of a bucket on disk, compared with what its records name."""

from holdfast.objects.drivers.disk.record import Record, decode


def files_below(folder):
    return {path for path in folder.rglob("*") if not path.is_dir()}


def read_all(folder):
    return {path: decode(path.read_bytes(), str(path)) for path in files_below(folder)}


def strays(root):
    """Files that no record names, records that name no file, and versions out of their place."""
    hidden = root / ".holdfast"
    newest, older = read_all(hidden / "records"), read_all(hidden / "versions")
    entries = [*newest.values(), *older.values()]
    named = {root / entry.data for entry in entries if isinstance(entry, Record)}
    locks = files_below(hidden / "locks")
    full_locks = {path for path in locks if path.stat().st_size}
    known = {*newest, *older, *locks, hidden / "versioning.json"}
    return (files_below(root) - known) ^ named | full_locks | _misplaced(newest, older)


def _misplaced(newest, older):
    """Older versions of a key that has no newest, is the same, or came after them all."""
    tops = {entry.key: entry for entry in newest.values()}
    assert len(tops) == len(newest)
    return {
        path
        for path, entry in older.items()
        if entry.key not in tops
        or path.name != f"{entry.version}.json"
        or entry.version == tops[entry.key].version
        or entry.serial >= tops[entry.key].serial
    }


def empty_folders(root):
    folders = {path for path in root.rglob("*") if path.is_dir()}
    kept = {root / ".holdfast" / name for name in ("records", "versions", "temporary", "locks")}
    return {path for path in folders - kept if not any(path.iterdir())}
