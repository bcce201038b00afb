"""The work behind `uzel send`: log in, call, send, wait for the report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from uzel.client import Client
from uzel.names import ContactLink, NodeReference
from uzel.store.profile import Profile


async def deliver(
    profile: Profile, nodes: Sequence[NodeReference], link: ContactLink, text: str, timeout: float
) -> float:
    """Returns the milliseconds from sending the text to its report; `timeout`, in seconds, is for everything.

    Raises `NetworkError` or `NotTrustedError`.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    async with Client(profile.identity, profile.pins, nodes) as client:
        await client.wait_online(timeout)
        conversation = await client.call(link, timeout=max(0.0, until - loop.time()))
        milliseconds = await conversation.send(text, timeout=max(0.0, until - loop.time()))
        await conversation.close()
    return milliseconds
