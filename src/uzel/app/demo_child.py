"""Becomes a module of ours in a process of the demo's that cannot outlive the demo, not even its kill -9.

Arguments: the demo's process id, the module, the module's own arguments. The kernel is asked to kill this process when
the demo ends (Linux); that stays so when the module becomes another program. Counterpart: `demo_process`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """End this process when its parent, which has this id, does. Must be called by the child itself."""
    with contextlib.suppress(OSError, AttributeError):  # elsewhere than on Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we could ask
        sys.exit(1)


if __name__ == "__main__":
    _, parent, module, *arguments = sys.argv
    die_with(int(parent))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
