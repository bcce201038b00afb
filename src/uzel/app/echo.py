"""Echo: the contact of `uzel run` that answers everything with itself, so that the first text has someone to answer it.

Arguments: profile folder, nodes as HOST:PORT[,FINGERPRINT]. Counterpart: `run`, which starts it.
"""

from __future__ import annotations

import sys

from uzel.bot import Bot, Text


def main(profile: str, *nodes: str) -> None:
    """Answer until SIGTERM."""
    bot = Bot(profile, *nodes, create=True, let_in=True)

    @bot.on_text
    async def echo(text: Text) -> str:
        return text.text

    bot.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
