"""The node's process, lean: only what a node needs is ever loaded.

Arguments: state folder, settings file or "", then addresses to listen on; the work is `node_main`. A node does its
TLS with pyOpenSSL, which brings its own OpenSSL. The event loop would load the standard library's `ssl`, and with it
a second OpenSSL, 5 MiB that no node ever uses: `lean` keeps it out (docs/decisions). Counterpart: `node_command`.
"""

from __future__ import annotations

import sys
import types


def lean() -> None:
    """Put an empty stand-in where the standard library's `ssl` would be, before anything imports it."""
    stand_in = types.ModuleType("ssl", "A node does its TLS elsewhere; see uzel.app.node_process.")
    for name in ("SSLContext", "MemoryBIO", "SSLObject", "SSLSocket"):
        setattr(stand_in, name, type(name, (), {}))
    errors = ("SSLError", "SSLWantReadError", "SSLWantWriteError", "SSLSyscallError", "SSLZeroReturnError")
    for name in (*errors, "SSLEOFError", "CertificateError"):
        setattr(stand_in, name, type(name, (OSError,), {}))
    for number, name in enumerate(("SSL_ERROR_WANT_READ", "SSL_ERROR_WANT_WRITE", "SSL_ERROR_SYSCALL")):
        setattr(stand_in, name, number)
    stand_in.create_default_context = None  # type: ignore[attr-defined]  # a module made here has what we put there
    sys.modules["ssl"] = stand_in
    sys.modules["_hashlib"] = None  # type: ignore[assignment]  # hashlib then uses Python's own, as it does without OpenSSL


if __name__ == "__main__":
    lean()
    from uzel.app.node_main import main  # after `lean`, or it would come too late

    sys.exit(main(*sys.argv[1:]))
