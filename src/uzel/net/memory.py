"""Gives back the memory that only the start of a long-lived process needed (Linux; elsewhere nothing happens).

Loading the libraries maps megabytes of code and tables, most of which a node never touches again. The kernel would
take such pages back under pressure; asked, it does so at once: read-only pages of files are dropped from this
process and come back from the page cache when they are next used. Free heap goes back as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_MADV_DONTNEED = 4


def release_start_up_memory() -> None:
    """Call once, when everything is set up and nothing has happened yet."""
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for start, size in _read_only_file_mappings():
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)


def _read_only_file_mappings() -> list[tuple[int, int]]:
    """Start and size of every mapping of a file that is not writable and of which no page was ever written.

    The second matters: the linker writes relocations into pages that it then makes read-only, and those exist
    nowhere but in this process.
    """
    found: list[tuple[int, int]] = []
    candidate: tuple[int, int] | None = None
    with open("/proc/self/smaps", encoding="ascii", errors="replace") as mappings:
        for line in mappings:
            first, *rest = line.split()
            if not first.endswith(":"):
                start, end = (int(address, 16) for address in first.split("-"))
                is_code_or_table = rest[0] in {"r--p", "r-xp"} and rest[3] != "0"
                candidate = (start, end - start) if is_code_or_table else None
            elif first == "Anonymous:" and rest[0] == "0" and candidate is not None:
                found.append(candidate)
    return found
