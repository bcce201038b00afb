"""`uzel node status` and `uzel node peers` of real nodes, alone and linked; peers given, pinned, and remembered."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e.cli_harness import DEADLINE, RunningNode, uzel
from e2e.raw_client import RawClient, converse, u32
from e2e.raw_identity import identity
from uzel.faces.cli.node_client import ask_node
from uzel.store.admin_socket import ADMIN_SOCKET

Values = dict[str, Any]


def status(state: Path) -> Values:
    done = uzel("node", "status", "--state", state, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said: Values = json.loads(done.stdout)
    return said


def peers(state: Path) -> list[Values]:
    done = uzel("node", "peers", "--state", state, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def status_when(state: Path, holds: Callable[[Values], bool]) -> Values:
    """The first status of which this holds. Asked without a process each time, for the machine's sake."""
    deadline = time.monotonic() + DEADLINE
    said: Values
    while not holds(said := ask_node(state, "status", DEADLINE)):
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
    return said


def is_linked(said: Values) -> bool:
    return [link["state"] for link in said["links"]] == ["up"]


def is_measured(said: Values) -> bool:
    return is_linked(said) and said["links"][0]["round_trip_ms"] is not None


def reference(node: RunningNode) -> str:
    return f"{node.written},{node.fingerprint}"


@contextmanager
def nobody_there() -> Iterator[str]:
    """An address of this machine at which every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*taken.getsockname())


def test_a_node_alone(tmp_path: Path, known_identities: Path) -> None:
    state = shutil.copytree(known_identities, tmp_path / "state")
    with (
        RunningNode(state) as node,
        RawClient(identity(0), node.address) as caller,
        RawClient(identity(1), node.address) as callee,
    ):
        said = status(state)
        keys = "version uptime control data fingerprint clients conversations calls links dialling cache searches"
        assert list(said) == [*keys.split(), "refusals"]
        assert said["control"] == node.announced["control"]
        assert said["data"] == node.announced["data"]
        assert said["fingerprint"] == node.fingerprint
        assert said["uptime"] >= 0
        assert said["links"] == said["dialling"] == peers(state) == []
        assert (said["clients"], said["refusals"]) == (0, {})
        converse(caller.login(), callee.login())
        caller.call(4_000_000_000)
        caller.expect(0x05, u32(4_000_000_000))
        said = status_when(state, lambda said: said["conversations"] == 1)
        assert (said["clients"], said["calls"]) == (2, 0)
        assert len(said["refusals"]) == 1
        shown = uzel("node", "status", "--state", state).stdout.splitlines()
        assert "clients        2" in shown
        assert "no links to other nodes" in shown
        assert uzel("node", "peers", "--state", state).stdout == "no known nodes\n"
        caller.close()
        callee.close()
        assert node.end() == 0


def test_the_socket_is_the_owners_alone_and_goes_with_the_node(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 40)  # longer than a socket's address can be
    with RunningNode(state) as node:
        assert stat.S_IMODE((state / ADMIN_SOCKET).lstat().st_mode) == 0o600
        assert status(state)["fingerprint"] == node.fingerprint
        node.end(signal.SIGKILL)
    assert (state / ADMIN_SOCKET).is_socket()
    assert uzel("node", "status", "--state", state).returncode == 3
    with RunningNode(state) as node:
        assert status(state)["fingerprint"] == node.fingerprint
        assert node.end() == 0
    assert not (state / ADMIN_SOCKET).exists()
    assert uzel("node", "peers", "--state", state).returncode == 3


def test_two_linked_nodes_tell_of_one_another(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    before = datetime.now(UTC) - timedelta(seconds=1)
    with RunningNode(a) as first, RunningNode(b, "--peer", reference(first)) as second:
        by_a = status_when(a, lambda said: is_linked(said) and not said["dialling"])  # it dials back once
        by_b = status_when(b, lambda said: is_measured(said) and not said["dialling"])
        (link,), (other) = by_b["links"], by_a["links"][0]
        keys = "fingerprint address direction state kept round_trip_ms bytes_in bytes_out conversations idle last_error"
        assert list(link) == list(other) == keys.split()
        assert (link["fingerprint"], link["address"]) == (first.fingerprint, first.written)
        assert 0 < link["round_trip_ms"] < DEADLINE * 1000
        assert (link["direction"], link["kept"], link["last_error"]) == ("dialled", True, None)
        assert (other["fingerprint"], other["direction"]) == (second.fingerprint, "accepted")
        assert min(link["bytes_in"], link["bytes_out"], other["bytes_in"], other["bytes_out"]) > 0
        (known,) = peers(b)
        keys = "address fingerprint configured proven last_answered failures last_error"
        assert list(known) == keys.split()
        assert (known["address"], known["fingerprint"]) == (first.written, first.fingerprint)
        assert (known["configured"], known["proven"], known["failures"]) == (True, True, 0)
        assert before <= datetime.fromisoformat(known["last_answered"]) <= datetime.now(UTC)
        shown = uzel("node", "status", "--state", b).stdout
        assert first.written in shown
        assert "dialled, kept" in shown
        assert first.fingerprint in uzel("node", "peers", "--state", b).stdout
        assert first.end() == 0
        lost = status_when(b, lambda said: not said["links"] and said["dialling"][0]["last_error"] is not None)
        assert lost["dialling"][0]["address"] == first.written
        assert "dialling" in uzel("node", "status", "--state", b).stdout
        assert second.end() == 0


def test_known_nodes_survive_a_restart(tmp_path: Path) -> None:
    b = tmp_path / "b"
    with RunningNode(tmp_path / "a") as first:
        with RunningNode(b, "--peer", reference(first)) as second:
            status_when(b, is_linked)
            (known,) = peers(b)
            assert second.end() == 0
        with RunningNode(b) as second:  # nobody names the first node any more
            status_when(b, is_linked)
            (again,) = peers(b)
            assert (again["address"], again["fingerprint"]) == (first.written, first.fingerprint)
            assert not again["configured"]
            assert again["last_answered"] >= known["last_answered"]
            assert second.end() == 0
        assert first.end() == 0
        with RunningNode(b) as second:  # nobody is there any more
            (again,) = peers(b)
            assert (again["address"], again["last_answered"] >= known["last_answered"]) == (first.written, True)
            assert second.end() == 0


def test_peers_of_the_command_line_replace_those_of_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    state = tmp_path / "state"
    with nobody_there() as one, nobody_there() as other:
        config.write_text(f'peers = ["{one}"]\n', encoding="utf-8")
        for flags, expected in (((), one), (("--peer", other), other)):
            with RunningNode(state, "--config", config, *flags) as node:
                assert [known["address"] for known in peers(state) if known["configured"]] == [expected]
                said = status_when(state, lambda said: said["dialling"][0]["last_error"] is not None)
                assert [dial["address"] for dial in said["dialling"]] == [expected]
                assert node.end() == 0


def test_a_changed_key_at_a_configured_address_is_refused_by_name(tmp_path: Path) -> None:
    b = tmp_path / "b"
    with RunningNode(tmp_path / "a") as first:
        there = first.written
        with RunningNode(b, "--peer", there) as second:  # no fingerprint: the first key met there is pinned
            status_when(b, is_linked)
            assert second.end() == 0
        assert first.end() == 0
    with RunningNode(tmp_path / "other", listen=(there,)) as impostor:
        with RunningNode(b, "--peer", there) as second:
            said = status_when(b, lambda said: "node_key_changed" in said["refusals"])
            assert said["links"] == []
            said = status_when(b, lambda said: said["dialling"][0]["last_error"] == "node_key_changed")
            assert said["dialling"][0]["address"] == there
            second.talks_of('"reason": "node_key_changed"')
            assert second.end() == 0
        with RunningNode(b, "--peer", reference(impostor)) as second:  # its owner says that it is the new key
            status_when(b, is_linked)
            assert second.end() == 0
        with RunningNode(b, "--peer", there) as second:  # and that was enough to say once
            status_when(b, is_linked)
            assert second.end() == 0
        assert impostor.end() == 0
