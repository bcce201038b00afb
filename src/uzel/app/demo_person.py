"""One of the two people of `uzel demo`: a process of its own that uses the client library and tells what happens.

Arguments: profile folder, node as HOST:PORT,FINGERPRINT, then "answer" or the contact link to call. Prints one JSON
object a line for `demo`, its counterpart.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys

from uzel.client import Client, Conversation
from uzel.errors import UzelError
from uzel.names import ContactLink

SHORT = "Hello! This text crossed a node that cannot read it."
RUSSIAN = "Привет! Узел не может прочитать эту строку. Ёлка, щётка, 😀."
LONG_BYTES = 200_000
LONG = ("0123456789abcdef" * (LONG_BYTES // 16))[:LONG_BYTES]
TEXTS = {"a greeting": SHORT, "one in Russian": RUSSIAN, "one of 200,000 bytes": LONG}


def tell(event: str, **values: object) -> None:
    """One line for the parent."""
    print(json.dumps({"event": event, **values}, ensure_ascii=False), flush=True)


def digest(text: str) -> str:
    """Enough of SHA-256 to see that a text arrived whole."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def speak(conversation: Conversation) -> None:
    """Send every text and tell when it was reported delivered."""
    for name, text in TEXTS.items():
        milliseconds = await conversation.send(text)
        tell("delivered", what=name, ms=round(milliseconds, 1), bytes=len(text.encode()), digest=digest(text))


async def hear(conversation: Conversation) -> None:
    """Read until as much has come as `TEXTS` holds; acknowledge each piece and tell of each whole text."""
    pieces = ""
    expected = list(TEXTS.items())
    async for text in conversation:
        pieces += text.text
        text.acknowledge()
        name, whole = expected[0]
        if len(pieces) >= len(whole):
            tell("heard", what=name, bytes=len(pieces.encode()), digest=digest(pieces))
            pieces = ""
            expected.pop(0)
        if not expected:
            return


async def converse(conversation: Conversation) -> None:
    """Both ways at once."""
    tell("talking", with_=int(conversation.peer.uin), verified=conversation.peer.verified, group=conversation.tls.group,
         cipher=conversation.tls.cipher, version=conversation.tls.version)  # fmt: skip
    await asyncio.gather(speak(conversation), hear(conversation))
    tell("done")


async def main(profile: str, node: str, whom: str) -> None:
    """Log in, call or be called, talk, and wait until the parent closes our input."""
    async with Client.open(profile, node) as client:
        online = await client.wait_online(20)
        tell("online", node=str(online.node), uin=int(online.uin))
        if whom == "answer":
            async for call in client.calls():
                tell("called", by=int(call.uin))
                await converse(await call.accept())
                break
        else:
            link = ContactLink.parse(whom)
            tell("calling", whom=int(link.uin))
            await converse(await client.call(link, timeout=20))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    except UzelError as error:
        tell("failed", error=str(error))
        sys.exit(error.exit_code)
