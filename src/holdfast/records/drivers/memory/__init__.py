"""Records in this process's memory."""

from holdfast.records.drivers.memory.driver import MemoryDriver, MemoryOptions

__all__ = ["MemoryDriver", "MemoryOptions"]
