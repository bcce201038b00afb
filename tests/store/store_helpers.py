"""Running a piece of Python in a process of its own, and the first version's profile folders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from uzel.identity import Identity
from uzel.names import Fingerprint, NodeAddress, Uin
from uzel.store.identities import save_identity

A, B = Fingerprint(b"a" * 32), Fingerprint(b"b" * 32)
NODE = NodeAddress("node.example", 8935)
PEER = Uin(5)
PINS = {"version": 1, "peers": {"5": {"key": str(A), "verified": True}}, "nodes": {str(NODE): str(B)}}
OLD_FILES = {"identity.pem", "identity.json", "pins.json"}


def run_python(program: str, *arguments: object, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `within` is a command that runs another one."""
    command = [*within, sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def with_mount(options: str, folder: Path) -> list[str]:
    """A command that runs another one where a file system of its own is mounted on `folder`, as root or not."""
    script = f'mount {options} "$1" && shift && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", str(folder)]


def old_folder(folder: Path, identity: Identity) -> Path:
    """A profile of the first version, with one pinned peer and one pinned node."""
    folder.mkdir(mode=0o700)
    save_identity(folder, identity)
    pins = folder / "pins.json"
    pins.touch(mode=0o600)
    pins.write_text(json.dumps(PINS))
    (folder / "profile.lock").touch(mode=0o600)
    return folder
