"""The node's process, lean: only what a node needs is ever loaded.

Arguments: state folder, settings file or "", then addresses to listen on. Prints one JSON line once it listens;
logs to stderr. SIGTERM and Ctrl-C stop it: no new calls, running conversations get their drain time, exit 0; a
second signal stops it at once.

A node does its TLS with pyOpenSSL, which brings its own OpenSSL. The event loop would load the standard library's
`ssl`, and with it a second OpenSSL, 5 MiB that no node ever uses: `lean` keeps it out (docs/decisions).
Counterpart: `node_command`.
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

import asyncio
import gc
import json
import signal
from collections.abc import Callable
from pathlib import Path

from uzel.app.node_addresses import listen_addresses
from uzel.errors import ExitCode, UzelError
from uzel.node.config import NodeConfig, load_config
from uzel.node.log import log_to_stderr
from uzel.node.service import NodeService


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it exists."""
    try:
        import uvloop  # noqa: PLC0415 - it may be missing
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def serve(state: Path, settings: NodeConfig, listen: list[tuple[str, int]]) -> None:
    """Run one node until a signal, or until `stop` has been waited for. Raises `ConfigError`."""
    service = NodeService(settings, state)
    await service.start(listen)
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    shown = {
        "event": "listening",
        "control": [written(host, port) for host, port in service.control_addresses],
        "data": [written(host, port + 1) for host, port in service.control_addresses],
        "fingerprint": str(service.fingerprint),
    }
    print(json.dumps(shown, separators=(",", ":")), flush=True)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    await signals.get()
    stopping = asyncio.create_task(service.stop())
    again = asyncio.create_task(signals.get())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not stopping.done():
        service.hurry()
    await stopping


def written(host: str, port: int) -> str:
    """HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def main(state: str, config: str, *listen: str) -> int:
    """Run the process; returns its exit code."""
    log_to_stderr()
    try:
        settings = load_config(Path(config)) if config else NodeConfig()
        addresses = listen_addresses(list(listen), settings.listen)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(Path(state), settings, addresses))
    except UzelError as error:
        print(f"uzel: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.DONE
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
