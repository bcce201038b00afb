"""Runs one command for each text, or sends what a command says.

    python notify_bot.py PROFILE --node HOST:PORT -- df -h          each text: run it, answer with its output
    make 2>&1 | python notify_bot.py PROFILE --to 12345678          send standard input, wait until it is delivered

The command is fixed when the bot starts. A text reaches it on standard input alone, never as a part of the command.
"""

import argparse
import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT

from uzel.bot import Bot, Text
from uzel.errors import UzelError

MOST = 100_000
"""Characters of one answer; of a longer output the end."""

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    usage="%(prog)s PROFILE [--node HOST:PORT]... (-- COMMAND... | --to UIN|LINK [--timeout SECONDS])",
)  # fmt: skip
parser.add_argument("profile")
parser.add_argument("--node", action="append", default=[])
parser.add_argument("--to", help="a number or a contact link")
parser.add_argument("--timeout", type=float, default=30.0)
end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
given, command = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]  # argparse would split it elsewhere
bot = Bot(given.profile, *given.node)


@bot.on_text
async def work(text: Text) -> str | None:
    """Only contacts get this far. A command that fails is tried again, so it says so by its exit code."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    try:
        said, _ = await process.communicate(text.text.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")
    return said.decode(errors="replace").strip()[-MOST:] or None


async def notify(text: str) -> None:
    """One text to one person."""
    async with bot:
        await bot.delivered(await bot.send(given.to, text), given.timeout)


if given.to is None and not command:
    parser.error("give a command after --, or --to")
if given.to is None:
    bot.run()
try:
    asyncio.run(notify(sys.stdin.buffer.read().decode(errors="replace").strip()[-MOST:]))
except UzelError as error:
    sys.exit(f"{error}")
