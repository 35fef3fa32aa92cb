"""Records in this process's memory."""

from holdfast.records.drivers.memory.driver import MemoryDriver

__all__ = ["MemoryDriver"]
