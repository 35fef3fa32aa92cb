"""A disk of few bytes below one folder: a tmpfs, so that it can be full and nothing else is."""

import errno
import os
import subprocess

MIB = 1 << 20


class SmallDisk:
    """A file system of *size* bytes at *folder*. Mounting takes root."""

    def __init__(self, folder, size):
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def _ballast(self):
        return self.folder / "ballast"

    def fill(self):
        """Leave no page on it, though others write to it meanwhile."""
        left = os.statvfs(self.folder)
        taken, size = 0, left.f_bavail * left.f_frsize
        with self._ballast.open("wb") as file:
            while size >= left.f_frsize:
                try:
                    os.posix_fallocate(file.fileno(), taken, size)
                    taken += size
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def relieve(self):
        self._ballast.unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True, capture_output=True)


def why_not(folder):
    """Return why no small disk can be had here, None where it can."""
    if os.geteuid() != 0:
        return "mounting takes root"
    try:
        SmallDisk(folder, MIB).unmount()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"mounting is refused: {getattr(error, 'stderr', b'').decode().strip()}"
    return None
