"""The library that programs import: be a user of Uzel.

    async with Client.open("profile", "node.example:8935") as client:
        conversation = await client.call("uzel:…")
        await conversation.send("hello")

Guaranteed: a text is reported to its sender only once the receiving program acknowledged it; nothing is sent to a
node or a peer whose key is not the pinned one; after a lost connection the client logs in again by itself, at the
next of its nodes if it has several. Not guaranteed: that a text sent twice is shown once (the base protocol cannot
tell), or anything about a text whose `send` raised.
"""

from typing import TypeAlias

from uzel.client.client import Client
from uzel.client.conversation import Conversation, Text
from uzel.client.events import ArrivedCall, WentOffline, WentOnline
from uzel.client.settings import ClientSettings

IncomingCall: TypeAlias = ArrivedCall[Conversation]
"""A call that arrived at a `Client`."""

__all__ = ["Client", "ClientSettings", "Conversation", "IncomingCall", "Text", "WentOffline", "WentOnline"]
