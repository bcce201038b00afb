"""The work behind `uzel send`: log in, call, send, wait for the report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from uzel.client import Client, ClientSettings
from uzel.names import ContactLink, NodeReference
from uzel.store.profile import Profile

GOODBYE = 2.0
"""Seconds in which connections may close in order, if there is so much time left."""


async def deliver(
    profile: Profile,
    nodes: Sequence[NodeReference],
    link: ContactLink,
    text: str,
    timeout: float,
    *,
    roaming: bool = False,
) -> float:
    """Returns the milliseconds from sending the text to its report; `timeout`, in seconds, is for everything, the
    closing of what was opened included.

    Raises `NetworkError` or `NotTrustedError`.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout

    def left() -> float:
        return max(0.0, until - loop.time())

    client = Client(profile.identity, profile.pins, nodes, ClientSettings(roaming=roaming))
    try:
        await client.__aenter__()
        await client.wait_online(left())
        conversation = await client.call(link, timeout=left())
        return await conversation.send(text, timeout=left())
    finally:
        await client.close(min(left(), GOODBYE))
