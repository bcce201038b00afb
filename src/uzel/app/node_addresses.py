"""Where a node listens: from its command line, else from its settings."""

from __future__ import annotations

from uzel.errors import ConfigError
from uzel.names import split_host_port


def listen_addresses(given: list[str], configured: tuple[str, ...]) -> list[tuple[str, int]]:
    """The addresses to bind. Raises `InvalidNameError`, and `ConfigError` when there is none."""
    addresses = [split_host_port(text) for text in given or configured]
    if not addresses:
        raise ConfigError("nowhere to listen: give --listen HOST:PORT")
    return addresses
