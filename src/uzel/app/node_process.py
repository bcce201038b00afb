"""The node's process, lean: only what a node needs is loaded, and what only its start needed is given back.

Its arguments are those of `NodeArguments`. Prints one JSON line once it listens; logs to stderr. SIGTERM and Ctrl-C
stop it: no new calls, running conversations get their drain time, exit 0; a second signal stops it at once.
Counterpart: `node_command`, which becomes this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from uzel.app.node_arguments import NodeArguments
from uzel.errors import ExitCode, UzelError
from uzel.names import NodeReference
from uzel.net.loop import loop_factory
from uzel.net.memory import release_start_up_memory
from uzel.node.config import NodeConfig, load_config
from uzel.node.log import log_to_stderr
from uzel.node.service import NodeService


async def serve(
    state: Path, settings: NodeConfig, listen: Sequence[tuple[str, int]], peers: Sequence[NodeReference] = ()
) -> None:
    """Run one node until a signal, or until `stop` has been waited for. Raises `ConfigError`."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    service = NodeService(settings, state)
    await service.start(listen, peers)
    shown = {
        "event": "listening",
        "control": [written(host, port) for host, port in service.control_addresses],
        "data": [written(host, port + 1) for host, port in service.control_addresses],
        "fingerprint": str(service.fingerprint),
    }
    announce(json.dumps(shown, separators=(",", ":")))
    release_start_up_memory()
    await signals.get()
    stopping = asyncio.create_task(service.stop())
    again = asyncio.create_task(signals.get())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not stopping.done():
        service.hurry()
    await stopping


def announce(line: str) -> None:
    """Print it for whoever started us; a node runs on when nobody reads."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), f"{line}\n".encode())


def written(host: str, port: int) -> str:
    """HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def main(written: list[str]) -> int:
    """Run the process; returns its exit code."""
    log_to_stderr()
    try:
        given = NodeArguments.read(written)
        settings = load_config(given.config) if given.config else NodeConfig()
        listen, peers = given.listen_addresses(settings.listen), given.peer_references(settings.peers)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(given.state, settings, listen, peers))
    except UzelError as error:
        print(f"uzel: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.DONE
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
