"""Objects as files in a folder that many processes may share."""

from holdfast.objects.drivers.disk.driver import DiskDriver

__all__ = ["DiskDriver"]
