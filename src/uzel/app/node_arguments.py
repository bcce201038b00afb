"""What a node is started with: from its command line, else from its settings.

`NodeArguments` is also how `node_command` hands it to `node_process`, the process it becomes: a list of texts in which
nothing has to be escaped or guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from uzel.errors import ConfigError
from uzel.names import NodeReference, split_host_port


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
        """The addresses to bind. Raises `InvalidNameError`, and `ConfigError` when there is none."""
        addresses = [split_host_port(text) for text in self.listen or configured]
        if not addresses:
            raise ConfigError("nowhere to listen: give --listen HOST:PORT")
        return addresses

    def peer_references(self, configured: tuple[str, ...]) -> list[NodeReference]:
        """The nodes to link to, in order. Raises `InvalidNameError`."""
        return [NodeReference.parse(text) for text in self.peers or configured]
