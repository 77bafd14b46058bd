"""A seccomp filter for the worker: system calls that would evade its limits fail with "Operation not permitted".

Memory without an address (memfds, System V segments, io_uring buffers) would not count against the address-space limit;
a nested user namespace would bring capabilities back; ``execve`` starts an interpreter in which nothing is refused.
A filter can be added to, never removed, and children inherit it. Standard library only: the worker reads it by path.
"""

import ctypes
import os
import struct
import sys

# (x86-64, aarch64)
NUMBERS = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "mq_open": (240, 180),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
}
EXECUTE = {"execve": (59, 221), "execveat": (322, 281)}
CLONE, CLONE3 = (56, 220), (435, 435)
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*: mount, cgroup, uts, ipc, user, pid, net
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38, 0x80000000
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def _program(names: dict[str, tuple[int, int]], column: int, architecture: int) -> bytes:
    """The filter as BPF instructions (code, jump if true, jump if false, constant)."""
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
    if column == 0:  # x32, a second numbering of the same calls
        steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _EPERM)]
    for number in sorted(pair[column] for pair in names.values()):
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    steps += [(_EQUAL, 0, 1, CLONE3[column]), (_RETURN, 0, 0, _ENOSYS)]  # its flags lie in memory; libc falls back
    steps += [(_EQUAL, 0, 3, CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    steps += [(_ANY_BIT, 0, 1, NEW_NAMESPACES), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def deny(names: dict[str, tuple[int, int]]) -> bool:
    """Refuse these system calls to this process, all its threads and all its children, for good.

    False where it cannot be done (no Linux, another processor, a kernel without seccomp).
    """
    if sys.platform != "linux" or os.uname().machine not in ARCHITECTURES:
        return False
    program = _program(names, *ARCHITECTURES[os.uname().machine])

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        return False
    described = Filter(len(program) // 8, program)
    seccomp = 317 if os.uname().machine == "x86_64" else 277
    return libc.syscall(seccomp, 1, 1, ctypes.byref(described)) == 0  # SECCOMP_SET_MODE_FILTER on all threads
