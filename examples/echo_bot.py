"""Answers every text with itself: python echo_bot.py PROFILE HOST:PORT."""

import sys

from uzel.bot import Bot, Text

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    sys.exit("usage: python echo_bot.py PROFILE [HOST:PORT]...")
bot = Bot(*sys.argv[1:], create=True, let_in=True)


@bot.on_text
async def echo(text: Text) -> str:
    """The answer."""
    return text.text


bot.run()
