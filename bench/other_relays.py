"""The relay to compare with, under the same load in the same run: HAProxy in TCP mode, where it is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from load import Figures, relay_figures
from node_process import pin
from uzel.app.bench_load import close_ends
from uzel.app.bench_node import Process

CONFIG = """
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen relay
    bind 127.0.0.1:{port}
    server sink 127.0.0.1:{sink}
"""


class HaProxy(Process):
    """One HAProxy on processor 0, for the length of a `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.sink = socket.create_server(("127.0.0.1", 0))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        with tempfile.NamedTemporaryFile("w", suffix=".cfg", delete=False) as config:
            config.write(CONFIG.format(port=self.port, sink=self.sink.getsockname()[1]))
        self._config = Path(config.name)
        self._process = subprocess.Popen(["haproxy", "-db", "-f", config.name], stderr=subprocess.DEVNULL)
        super().__init__(self._process.pid)
        pin(0, self.pid)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
        self._config.unlink()
        self.sink.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                self.sink.accept()[0].close()
                return
        raise RuntimeError("haproxy did not start")

    def open_pair(self) -> tuple[socket.socket, socket.socket]:
        near = socket.create_connection(("127.0.0.1", self.port))
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return near, self.sink.accept()[0]


def haproxy() -> HaProxy | None:
    """HAProxy, if it is here."""
    return HaProxy() if shutil.which("haproxy") else None


def through_port(relay: HaProxy, seconds: float, pairs: int) -> Figures:
    """The same load as `relay_through_node`."""
    ends = [relay.open_pair() for _ in range(max(pairs, 8))]
    figures = relay_figures(ends, seconds, pairs, relay.cpu_seconds)
    close_ends(ends)
    return figures
