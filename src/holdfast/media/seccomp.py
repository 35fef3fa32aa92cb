"""A filter of system calls that takes the network and new programs from this process, on Linux.

The filter is classic BPF, as `man 2 seccomp` describes it. It needs no privilege, holds for all
threads that are started later, and can't be taken off again.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_MODE_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_X32 = 0x40000000  # numbers of a second set of calls on x86-64

# The kernel's name of each machine, then the numbers there of: socket, connect, execve, execveat,
# ptrace, process_vm_readv, process_vm_writev, kill, io_uring_setup.
_CALLS = {
    "x86_64": (0xC000003E, (41, 42, 59, 322, 101, 310, 311, 62, 425)),
    "aarch64": (0xC00000B7, (198, 203, 221, 281, 117, 270, 271, 129, 425)),
}


def refuse_network_and_programs() -> bool:
    """Refuse sockets, new programs and a look into other processes from now on; tell if it holds.

    What is refused fails with EPERM. False on other systems than Linux, on machines whose calls
    are not listed here, and where the kernel has no filters.
    """
    known = _CALLS.get(platform.machine())
    if not sys.platform.startswith("linux") or known is None:
        return False
    program = _filter(*known)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call = ctypes.CDLL(None, use_errno=True).prctl
    if call(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(call(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0)


def _filter(machine: int, calls: tuple[int, ...]) -> bytes:
    """The filter's instructions: the machine first, then each number, then allow, then refuse."""
    tests = [(_EQUAL, number, True) for number in calls]
    tests.insert(0, (_AT_LEAST, _X32, True))
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    steps += [(code, len(tests) - at, 0, number) for at, (code, number, _) in enumerate(tests)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
