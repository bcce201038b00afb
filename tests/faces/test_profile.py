"""`uzel profile`, and profiles with a passphrase, as people and programs meet them: real processes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e.cli_harness import DEADLINE, UZEL, Running, environment, uzel
from e2e.raw_node import RawNode

CODE = re.compile(r"([0-9A-Z]{4}-){6}[0-9A-Z]{4}")


def shown(*arguments: object, stdin: bytes = b"") -> dict[str, Any]:
    done = uzel(*arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    values = json.loads(done.stdout)
    assert isinstance(values, dict)
    return values


def secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "our alice"
    done = uzel("identity", "new", "--profile", folder)
    assert f"uzel profile backup FILE --profile '{folder}'" in done.stderr  # the first run says how
    assert "uzel profile passphrase" in done.stderr
    return folder


@pytest.fixture
def alice(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "alice")


def test_backup_and_restore(alice: Path, tmp_path: Path) -> None:
    identity = shown("identity", "show", "--profile", alice)
    made = shown("profile", "backup", tmp_path / "file", "--profile", alice)
    assert list(made) == ["file", "recovery_code"]
    assert CODE.fullmatch(made["recovery_code"])
    code = made["recovery_code"].lower().encode() + b"\n"
    again = uzel("profile", "backup", tmp_path / "file", "--profile", alice)
    assert (again.returncode, again.stdout) == (1, "")
    assert "exists already" in again.stderr
    restored = shown("profile", "restore", tmp_path / "file", "--profile", tmp_path / "new", stdin=code)
    assert restored == {"uin": identity["uin"], "fingerprint": identity["fingerprint"], "passphrase": False}
    assert shown("identity", "show", "--profile", tmp_path / "new") == identity
    onto = uzel("profile", "restore", tmp_path / "file", "--profile", alice, stdin=code)
    assert (onto.returncode, onto.stdout) == (1, "")
    assert "already" in onto.stderr
    none = uzel("profile", "restore", tmp_path / "nothing", "--profile", tmp_path / "other")
    assert (none.returncode, "No such file" in none.stderr) == (1, True)  # no secret was asked for
    wrong = uzel("profile", "restore", tmp_path / "file", "--profile", tmp_path / "other", stdin=b"wrong\n")
    assert wrong.returncode == 1
    assert not (tmp_path / "other").exists()


def test_for_a_person(alice: Path, tmp_path: Path) -> None:
    done = uzel("profile", "backup", tmp_path / "one", "--profile", alice)
    assert CODE.search(done.stdout)
    assert "Write the recovery code down" in done.stderr
    flags = ("--profile", alice, "--own-passphrase")
    assert uzel("profile", "backup", tmp_path / "two", *flags, stdin="ключ\n".encode()).stdout == ""
    flags = ("--backup-passphrase-file", secret(tmp_path / "key", "ключ"), "--set-passphrase")
    done = uzel("profile", "restore", tmp_path / "two", "--profile", tmp_path / "bob", *flags, stdin=b"locked\n")
    assert done.stdout.startswith("UIN ")
    assert uzel("profile", "check", "--profile", tmp_path / "bob", stdin=b"locked\n").stdout == "All is well.\n"


def test_set_change_and_remove_the_passphrase(alice: Path, tmp_path: Path) -> None:
    show = ("identity", "show", "--profile", alice)
    command = ("profile", "passphrase", "--profile", alice)
    identity = shown(*show)
    assert shown(*command, stdin=b"first\r\n") == {"passphrase": True}
    assert not (alice / "profile.key").exists()
    assert shown(*show, stdin=b"first\n") == identity
    for stdin, words in ((b"", "standard input has ended"), (b"wrong\n", "typing errors"), (b"\xff\n", "UTF-8")):
        refused = uzel(*show, stdin=stdin)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr
    empty = uzel(*command, stdin=b"first\n\n")
    assert (empty.returncode, "empty" in empty.stderr) == (1, True)
    file = secret(tmp_path / "first", "first\nwhat follows is no part of it")
    assert shown(*command, "--passphrase-file", file, stdin=b"second\n") == {"passphrase": True}
    file.chmod(0o644)
    assert "chmod 600" in uzel(*show, "--passphrase-file", file).stderr
    assert uzel(*command, "--remove", stdin=b"second\n").stdout == "The passphrase was removed.\n"
    assert shown(*show) == identity


def test_an_identity_with_a_passphrase_from_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "carol"
    made = shown("identity", "new", "--profile", folder, "--set-passphrase", stdin=b"secret\n")
    assert list(made) == ["uin", "fingerprint", "link"]
    assert {path.name for path in folder.iterdir()} == {"profile.db", "profile.lock"}
    with RawNode() as raw:
        node = "{}:{}".format(*raw.address)
        file = secret(tmp_path / "secret", "secret\n")
        with Running("listen", "--profile", folder, "--node", node, "--json", "--passphrase-file", file) as listening:
            assert listening.event()["event"] == "online"
            assert listening.end() == 0
        piped = uzel("send", "--profile", folder, "--node", node, 5, "-", "--json", stdin=b"secret\n")
        assert json.loads(piped.stdout)["reason"] == "passphrase_needed"  # it is the text, not the passphrase
        assert "--passphrase-file" in piped.stderr


def test_a_profile_in_use(alice: Path, tmp_path: Path) -> None:
    with RawNode() as raw:
        node = "{}:{}".format(*raw.address)
        with Running("listen", "--profile", alice, "--node", node, "--json") as listening:
            online = listening.until("online")
            held = f"uzel listen, process {listening.process.pid}, since 20"
            for command in (("send", "--node", node, 5, "hi"), ("profile", "passphrase")):
                done = uzel(*command, "--profile", alice, stdin=b"secret\n")
                assert (done.returncode, done.stdout) == (1, "")
                assert held in done.stderr
            assert shown("identity", "show", "--profile", alice)["uin"] == online["uin"]
            assert shown("profile", "check", "--profile", alice) == {"ok": True, "findings": []}
            assert shown("profile", "backup", tmp_path / "file", "--profile", alice)["recovery_code"]
            assert listening.end() == 0


def test_check_says_what_is_wrong(alice: Path) -> None:
    alice.chmod(0o775)
    found = uzel("profile", "check", "--profile", alice, "--json")
    assert found.returncode == 1
    values = json.loads(found.stdout)
    assert (values["ok"], [list(finding) for finding in values["findings"]]) == (False, [["check", "detail"]])
    assert "chmod 700" in values["findings"][0]["detail"]


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.ours, theirs = pty.openpty()
        command = [*UZEL, *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(), start_new_session=True
        )
        os.close(theirs)
        self.seen = self.all = b""
        self.typed: list[bytes] = []

    def answer(self, prompt: str, typed: str) -> None:
        self.until(prompt)
        self.typed.append(typed.encode())
        os.write(self.ours, typed.encode() + b"\n")

    def until(self, words: str) -> None:
        while words.encode() not in self.seen:
            assert select.select([self.ours], [], [], DEADLINE)[0], self.seen
            read = os.read(self.ours, 4096)
            self.seen += read
            self.all += read
        self.seen = self.seen.partition(words.encode())[2]

    def end(self) -> int:
        """The exit code; nothing that was typed has been shown."""
        code = self.process.wait(DEADLINE)
        assert not any(typed in self.all for typed in self.typed)
        os.close(self.ours)
        return code


def test_at_a_terminal_it_asks_twice_and_shows_nothing(alice: Path, tmp_path: Path) -> None:
    terminal = Terminal("profile", "passphrase", "--profile", alice)
    terminal.answer("New passphrase of the profile: ", "топ secret")
    terminal.answer("Once more: ", "топ secret")
    terminal.until("The passphrase was set.")
    assert terminal.end() == 0
    terminal = Terminal("profile", "passphrase", "--profile", alice)
    terminal.answer("Passphrase of the profile: ", "топ secret")
    terminal.answer("New passphrase of the profile: ", "this one")
    terminal.answer("Once more: ", "that one")
    terminal.until("the two are not the same")
    assert terminal.end() == 1
    assert shown("identity", "show", "--profile", alice, stdin="топ secret\n".encode())
    terminal = Terminal("profile", "backup", tmp_path / "file", "--profile", alice, "--own-passphrase")
    terminal.answer("Passphrase of the profile: ", "топ secret")
    terminal.answer("Passphrase of the backup: ", "this one")
    terminal.answer("Once more: ", "that one")
    terminal.until("the two are not the same")
    assert terminal.end() == 1
    assert not (tmp_path / "file").exists()


def test_interrupted_at_the_prompt(alice: Path) -> None:
    terminal = Terminal("profile", "passphrase", "--profile", alice)
    terminal.until("New passphrase of the profile: ")
    terminal.process.terminate()
    assert terminal.end() == 143
    assert (alice / "profile.key").exists()
