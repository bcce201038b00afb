"""`uzel node status` and `uzel node peers`: what they print, and what they say when there is no answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.cli_harness import uzel
from uzel.errors import NodeSilentError
from uzel.faces.cli.node_client import ask_node
from uzel.faces.cli.node_status import peers_lines, status_lines
from uzel.store.admin_socket import ADMIN_SOCKET

KEY = "k" * 43
LINK: dict[str, Any] = {
    "fingerprint": KEY,
    "address": "node.example:8935",
    "direction": "dialled",
    "state": "up",
    "kept": True,
    "round_trip_ms": 1.234,
    "bytes_in": 12_345,
    "bytes_out": 0,
    "conversations": 1,
    "idle": 3.0,
    "last_error": None,
}
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "uptime": 90_061.0,
    "control": ["127.0.0.1:8935"],
    "data": ["127.0.0.1:8936"],
    "fingerprint": KEY,
    "clients": 3,
    "conversations": 1,
    "calls": 2,
    "links": [LINK, {**LINK, "address": None, "direction": "accepted", "kept": False, "round_trip_ms": None}],
    "dialling": [{"address": "far.example:1", "last_error": "handshake_timeout", "retry_in": 61.0}],
    "cache": {"size": 5, "hits": 1, "misses": 3, "hit_rate": 0.25},
    "searches": {"searches": 4, "searches_in_vain": 1},
    "refusals": {"uin_taken": 2},
}
PEER: dict[str, Any] = {
    "address": "node.example:8935",
    "fingerprint": KEY,
    "configured": True,
    "proven": True,
    "last_answered": "2023-11-14T22:13:20.123Z",
    "failures": 0,
    "last_error": None,
}
UNKNOWN = {**PEER, "fingerprint": None, "configured": False, "proven": False, "last_answered": None, "failures": 2}


@contextmanager
def answering(folder: Path, reply: bytes) -> Iterator[None]:
    """Something on the node's socket that says this to everything."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / ADMIN_SOCKET))
        listening.listen()
        listening.settimeout(20)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


def test_the_status_for_a_person() -> None:
    assert status_lines(STATUS) == [
        "version        0.1.0",
        "running for    1 d 1 h",
        "control        127.0.0.1:8935",
        "data           127.0.0.1:8936",
        f"fingerprint    {KEY}",
        "clients        3",
        "conversations  1, and 2 being set up",
        "cache          5 numbers, 25.0% of 4 questions answered",
        "",
        "link               key        opened         state  round trip        in  out  carries  quiet  last error",
        "node.example:8935  kkkkkkkk…  dialled, kept  up         1.2 ms  12.1 KiB  0 B        1  3.0 s  -",
        "-                  kkkkkkkk…  accepted       up              -  12.1 KiB  0 B        1  3.0 s  -",
        "",
        "dialling       next try      last error",
        "far.example:1  in 1 min 1 s  handshake_timeout",
        "",
        "searches",
        "  searches          4",
        "  searches_in_vain  1",
        "",
        "refusals since the start",
        "  uin_taken  2",
    ]


def test_the_status_of_a_node_alone() -> None:
    alone: dict[str, Any] = {**STATUS, "links": [], "dialling": [], "searches": {}, "refusals": {}}
    lines = status_lines({**alone, "cache": {"size": 0, "hits": 0, "misses": 0, "hit_rate": None}})
    assert lines[7:] == [
        "cache          0 numbers, not asked yet",
        "",
        "no links to other nodes",
        "",
        "no searches",
        "",
        "no refusals since the start",
    ]


def test_known_nodes_for_a_person() -> None:
    assert peers_lines([]) == ["no known nodes"]
    assert peers_lines([PEER, UNKNOWN]) == [
        f"address            {'fingerprint':43}  known as           last answered             failures  last error",
        f"node.example:8935  {KEY}  configured proven  2023-11-14T22:13:20.123Z         0  -",
        f"node.example:8935  {'-':43}  -                  -                                2  -",
    ]


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    evil = "\x1b[2J\r\n\u202e"
    lines = peers_lines([{**PEER, "address": evil}])
    lines += status_lines({**STATUS, "version": evil, "refusals": {evil: 1}, "links": [{**LINK, "state": evil}]})
    assert not any(set(line) & set("\x1b\r\n\u202e") for line in lines)


@pytest.mark.parametrize("command", ["status", "peers"])
def test_no_node_there(tmp_path: Path, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / ADMIN_SOCKET))  # as after a crash
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        done = uzel("node", command, "--state", folder)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("uzel: No node runs on that state folder.")
        assert str(folder) in done.stderr


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "it ended the connection"),
        (b'{"answer":', "cut off"),
        (b"\xff\n", "cut off"),
        (b"[]\n", "cut off"),
        (b'{"error":"there is no such command"}\n', "there is no such command"),
        (b'{"more":1}\n', "something else"),
    ],
    ids=str,
)
def test_a_node_that_answers_something_else(tmp_path: Path, reply: bytes, words: str) -> None:
    with answering(tmp_path, reply):
        done = uzel("node", "status", "--state", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("uzel: The node does not answer.")
    assert words in done.stderr


def test_a_node_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ADMIN_SOCKET))
        silent.listen(0)
        done = uzel("node", "status", "--state", tmp_path, "--timeout", "0.1")
        assert (done.returncode, done.stdout) == (3, "")
        assert "not within 0.1 s" in done.stderr
        waiting: list[socket.socket] = []
        while len(waiting) < 3:  # until the kernel takes no more
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(tmp_path / ADMIN_SOCKET))
            except BlockingIOError:
                break
        with pytest.raises(NodeSilentError, match="not within"):
            ask_node(tmp_path, "status", 0.1)
        for each in waiting:
            each.close()


def test_a_drip_of_an_answer_takes_no_longer_than_allowed(tmp_path: Path) -> None:
    enough = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ADMIN_SOCKET))
        listening.listen()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                while not enough.wait(0.01):
                    connection.send(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(NodeSilentError, match="not within"):
            ask_node(tmp_path, "status", 0.2)
        enough.set()
        thread.join(20)


def test_somebody_elses_node(tmp_path: Path) -> None:
    """As another user where this test may become one, else with the permission taken away."""
    folder = tmp_path / "state"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / ADMIN_SOCKET))
        listening.listen()
        (folder / ADMIN_SOCKET).chmod(0)
        if os.geteuid() != 0:
            done = uzel("node", "status", "--state", folder)
            code, said = done.returncode, done.stderr
        else:
            # Python's own files may be closed to the other user: what the command loads is loaded before.
            ask = (
                "import os, sys; from uzel.app.main import run; os.chdir(sys.argv[1]);"
                "run(['node', 'status', '--state', 'missing']); sys.stderr.write('now: ');"
                "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
                "sys.exit(run(['node', 'status', '--state', '.']))"
            )
            command = [sys.executable, "-c", ask, str(folder)]
            elsewhere = {
                **os.environ,
                "XDG_CONFIG_HOME": "/nonexistent",
            }  # the settings of root are closed to the other
            child = subprocess.run(command, capture_output=True, text=True, env=elsewhere, timeout=20, check=False)
            code, said = child.returncode, child.stderr.partition("now: ")[2]
    assert code == 1
    assert said.startswith("uzel: That node belongs to another user.")


def test_json_is_one_object_or_one_a_line(tmp_path: Path) -> None:
    with answering(tmp_path, json.dumps({"answer": STATUS}).encode() + b"\n"):
        done = uzel("node", "status", "--json", env={"UZEL_STATE": str(tmp_path)})
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert json.loads(done.stdout) == STATUS
    (tmp_path / ADMIN_SOCKET).unlink()
    with answering(tmp_path, json.dumps({"answer": [PEER, UNKNOWN]}).encode() + b"\n"):
        done = uzel("node", "peers", "--json", "--state", tmp_path)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [PEER, UNKNOWN]


def test_a_state_folder_is_asked_for() -> None:
    done = uzel("node", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--state" in done.stderr
