"""A hint to the kernel: files whose bytes are on their way to the disk together are synced for the price of one.

Without it each fsync(2) of a new file first finds the file a place and then commits the file system's journal, one
after the other. With it the first commit holds them all. It promises nothing: fsync is what makes them durable.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

_SYNC_FILE_RANGE_WRITE = 2
"""linux/fs.h; sync_file_range(2): "start write-out of all dirty pages in the range"."""


def start_writing(descriptors: Iterable[int]) -> None:
    """Their bytes begin to go to the disk, where the system knows how; an error is left for fsync to tell."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return
    for descriptor in descriptors:
        call(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)
