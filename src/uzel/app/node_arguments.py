"""What a node is started with: from its command line, else from its settings.

`NodeArguments` is also how `node_command` hands it to `node_process`, the process it becomes: a list of texts in which
nothing has to be escaped or guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from uzel.errors import ConfigError
from uzel.names import MAX_PORT, NodeReference, split_host_port


@dataclass(frozen=True, slots=True)
class NodeArguments:
    """State folder, settings file, and the texts of `--listen` and `--peer`, which replace those of the settings."""

    state: Path
    config: Path | None = None
    listen: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()

    def written(self) -> list[str]:
        """As arguments: folder, file or "", how many addresses to listen on, those, then the peers."""
        return [str(self.state), str(self.config or ""), str(len(self.listen)), *self.listen, *self.peers]

    @classmethod
    def read(cls, written: list[str]) -> Self:
        """What `written` made."""
        state, config, count, *texts = written
        listen, peers = texts[: int(count)], texts[int(count) :]
        return cls(Path(state), Path(config) if config else None, tuple(listen), tuple(peers))

    def listen_addresses(self, configured: tuple[str, ...]) -> list[tuple[str, int]]:
        """The addresses to bind. Raises `InvalidNameError`, and `ConfigError` when there is none, or when they take a
        port from one another.
        """
        addresses = [split_host_port(text) for text in self.listen or configured]
        if not addresses:
            raise ConfigError("nowhere to listen: give --listen HOST:PORT, or listen in the settings")
        _refuse_overlap(addresses)
        return addresses

    def peer_references(self, configured: tuple[str, ...]) -> list[NodeReference]:
        """The nodes to link to, in order. Raises `InvalidNameError`."""
        return [NodeReference.parse(text) for text in self.peers or configured]


def _refuse_overlap(addresses: list[tuple[str, int]]) -> None:
    """Each takes its port and the one above it, for data; port 0 takes a free pair. Raises `ConfigError`."""
    taken: set[tuple[str, int]] = set()
    for host, port in addresses:
        if port > MAX_PORT:
            raise ConfigError(f"cannot listen on {host}:{port}: a control port lies between 0 and {MAX_PORT}")
        both = {(host, port), (host, port + 1)} if port else set()
        if both & taken:
            raise ConfigError(f"cannot listen on {host}:{port}: that port, or the data port above it, is named twice")
        taken |= both
