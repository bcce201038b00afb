"""The bots of examples/ and one that is killed, as people run them: real processes at a real node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cli_harness import DEADLINE, Running, RunningNode, environment, uzel
from e2e.test_cli_core import Person
from uzel.identity import Identity
from uzel.names import ContactLink
from uzel.store.profile import Profile

pytestmark = pytest.mark.timeout(240)  # a dozen processes, on a busy machine
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DYING = """
import os, signal, sys
from uzel.bot import Bot
bot = Bot(sys.argv[1], sys.argv[2], let_in=True)

@bot.on_text
def answer(text):
    text.add("about to die")
    if not os.path.exists(sys.argv[3]):
        open(sys.argv[3], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return text.text

bot.run()
"""


class Script(Running):
    """A bot, once it is ready."""

    program = (sys.executable,)

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        try:
            self.ready = self.event()
        except BaseException:
            self.__exit__()
            raise


@pytest.fixture
def node(tmp_path: Path) -> Iterator[str]:
    with RunningNode(tmp_path / "node") as running:
        yield running.written
        assert running.end() == 0


@pytest.fixture
def alice(tmp_path: Path) -> Person:
    Profile.create(tmp_path / "alice", Identity.generate()).close()
    return Person(tmp_path / "alice")


def say(alice: Person, to: object, text: str) -> None:
    """Queue it: whoever is asked may die before it is reported."""
    assert uzel("send", "--profile", alice.folder, to, text, "--timeout", 3).returncode in {0, 6}


def answers(alice: Person, bot: int, count: int) -> list[str]:
    while True:
        texts = [text["text"] for text in alice.lists("history", bot, "--all") if not text["outgoing"]]
        if len(texts) >= count:
            return texts


def test_the_echo_bot_makes_itself_a_profile_and_answers_whoever_knocks(
    tmp_path: Path, node: str, alice: Person
) -> None:
    folder = tmp_path / "echo"
    with alice.start("--node", node), Script(EXAMPLES / "echo_bot.py", folder, node) as bot:
        link = ContactLink.parse(bot.ready["link"])
        assert alice.asks("send", bot.ready["link"], "привет", "--timeout", 20)["event"] == "delivered"
        assert answers(alice, int(link.uin), 1) == ["привет"]
        assert any("Back it up" in line for line in bot.talk)
        assert bot.end() == 0
        assert not any("привет" in line or str(int(alice.uin)) in line for line in bot.talk)
        with Script(EXAMPLES / "echo_bot.py", folder) as again:  # the node is remembered
            second = subprocess.run(
                [sys.executable, EXAMPLES / "echo_bot.py", folder],
                capture_output=True, text=True, timeout=DEADLINE, check=False, env=environment(),
            )  # fmt: skip
            assert (second.returncode, "Another program is using" in second.stderr) == (1, True)
            assert again.end(signal.SIGINT) == 130


def test_a_bot_that_is_killed_before_it_has_answered_answers_once(tmp_path: Path, node: str, alice: Person) -> None:
    program, folder, mark = tmp_path / "dying.py", tmp_path / "bot", tmp_path / "died"
    program.write_text(DYING)
    Profile.create(folder, Identity.generate()).close()
    bot = Person(folder)
    with alice.start("--node", node), Script(program, folder, node, mark) as dying:
        say(alice, dying.ready["link"], "live")
        assert dying.wait() == -signal.SIGKILL
        with Script(program, folder, node, mark):
            assert answers(alice, int(bot.uin), 2) == ["about to die", "live"]
        os.unlink(mark)
        with bot.start("--node", node):  # and the same with a core that runs beside it
            with Script(program, folder, node, mark) as attached:
                say(alice, bot.uin, "and again")
                assert attached.wait() == -signal.SIGKILL
            with Script(program, folder, node, mark):
                held = subprocess.run(
                    [sys.executable, program, folder, node, mark],
                    capture_output=True, text=True, timeout=DEADLINE, check=False, env=environment(),
                )  # fmt: skip
                assert (held.returncode, "Another bot answers on this profile" in held.stderr) == (1, True)
                assert answers(alice, int(bot.uin), 4) == ["about to die", "live", "about to die", "and again"]


def test_the_notifier_runs_its_command_and_sends_what_it_is_given(tmp_path: Path, node: str, alice: Person) -> None:
    folder = tmp_path / "notifier"
    Profile.create(folder, Identity.generate()).close()
    bot = Person(folder)
    evil = "$(touch pwned); `touch pwned`; -n\n'\""
    with alice.start("--node", node):
        alice.asks("contact", "add", bot.link)
        with bot.start("--node", node):
            bot.asks("contact", "add", alice.link)
            done = subprocess.run(
                [sys.executable, EXAMPLES / "notify_bot.py", folder, "--to", str(int(alice.uin))],
                input=b"disk is full\n", timeout=DEADLINE, check=False, env=environment(), capture_output=True,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, b"")
            assert answers(alice, int(bot.uin), 1) == ["disk is full"]
        with Script(EXAMPLES / "notify_bot.py", folder, "--node", node, "--", "tr", "a-z", "A-Z"):
            alice.run("send", bot.uin, evil, "--timeout", 20)
            assert answers(alice, int(bot.uin), 2)[1] == evil.upper()
            assert json.loads(alice.run("contact", "show", bot.uin, "--json"))["verified"] is True
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("echo_bot.py",), "usage: python echo_bot.py PROFILE"),
        (("echo_bot.py", "bot", "nowhere:"), "not a valid UIN"),
        (("notify_bot.py", "bot", "--node", "127.0.0.1:1"), "give a command after --"),
    ],
)
def test_a_bot_that_is_called_wrongly_says_how(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    script, *rest = arguments
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *rest],
        capture_output=True, text=True, timeout=DEADLINE, check=False, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in {1, 2}
    assert (words in done.stderr, "Traceback" in done.stderr) == (True, False)
