"""Bots in ten lines: a function is given each text that comes, and what it returns is the answer (docs/bots.md).

    bot = Bot("profile", "node.example:8935")

    @bot.on_text
    async def echo(text: Text) -> str:
        return text.text

    bot.run()

Guaranteed: every text that comes from a contact after the bot first ran is given to the function until it has ended
well, one after the other within a chat; its answers and the mark "handled" are one commit, so nothing is lost and
nothing is said twice, whatever dies in between. Not guaranteed: that the function runs once; it may die before the
commit. Counterparts: `uzel.core.messenger`, or `uzel start`, whichever runs on the profile.
"""

from uzel.bot.bot import Bot
from uzel.bot.settings import BotSettings
from uzel.bot.text import Text

__all__ = ["Bot", "BotSettings", "Text"]
