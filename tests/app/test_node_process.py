"""`uzel node run` as a real process: what it prints, what it loads, what it costs, and every way it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cli_harness import Outcome, StartedNode, uzel
from e2e.raw_client import RawClient, converse, exchange
from e2e.raw_identity import identity
from uzel.names import Fingerprint, split_host_port

HEAVY = ("typer", "click", "rich", "fastapi", "pydantic", "msgspec", "uzel.client", "uzel.faces")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's folder that has its key already."""
    folder = tmp_path_factory.mktemp("node") / "state"
    with StartedNode(folder) as node:
        assert node.stop().code == 0
    return folder


def test_it_loads_only_what_a_node_needs() -> None:
    loads = "import sys, uzel.app.node_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout.split()
    assert "uzel.node.service" in loaded
    assert [name for name in loaded for heavy in HEAVY if name == heavy or name.startswith(f"{heavy}.")] == []


def test_it_announces_itself_once_and_idles_small(state: Path) -> None:
    with StartedNode(state, "--listen", "127.0.0.1:0", "--listen", "[::1]:0", listen="localhost:0") as node:
        said = node.announced
        assert list(said) == ["event", "control", "data", "fingerprint"]
        assert str(Fingerprint.parse(said["fingerprint"])) == said["fingerprint"]
        hosts = [split_host_port(text) for text in said["control"]]
        assert {host for host, _ in hosts} == {"127.0.0.1", "::1"}
        assert len(hosts) >= 3
        assert [split_host_port(text) for text in said["data"]] == [(host, port + 1) for host, port in hosts]
        for address in hosts:
            socket.create_connection(address, timeout=5).close()
        assert node.pss() < 35 * 1024
        outcome = node.stop()
        assert (outcome.code, outcome.out) == (0, "")
        assert "Traceback" not in outcome.err


def test_it_drains_a_running_conversation(tmp_path: Path) -> None:
    with StartedNode(tmp_path / "state") as node:
        address = split_host_port(node.address)
        with RawClient(identity(0), address) as alice, RawClient(identity(1), address) as bob:
            a, b = converse(alice.login(), bob.login())
            node.signal()
            node.until_said('"event": "stopping"')
            exchange(a, b, "still here")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            a.data.close()
            b.data.close()
            assert node.end(timeout=5).code == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with StartedNode(tmp_path / "state") as node:
        address = split_host_port(node.address)
        with RawClient(identity(0), address) as alice, RawClient(identity(1), address) as bob:
            converse(alice.login(), bob.login())
            node.signal()
            node.until_said('"event": "stopping"')
            node.signal(signal.SIGINT)
            outcome = node.end(timeout=5)
    assert outcome.code == 0
    assert "Traceback" not in outcome.err


# -- What it refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--state", "state"), "--listen HOST:PORT"),
        (("--listen", "127.0.0.1:0"), "--state DIR"),
        (("--listen", "127.0.0.1", "--state", "state"), "the port is missing"),
        (("--listen", "127.0.0.1:65535", "--state", "state"), "a control port lies between"),
        (("--listen", "::1:5000", "--state", "state"), "IPv6 goes in brackets"),
        (("--listen", "192.0.2.1:0", "--state", "state"), "does not have that address"),
        (("--listen", "127.0.0.1:0", "--state", "file"), "is not a folder"),
        (("--listen", "127.0.0.1:0", "--state", "file/below"), "file/below"),
        (("--listen", "127.0.0.1:0", "--state", "/proc/uzel"), "/proc/uzel"),
        (("--listen", "127.0.0.1:0", "--state", "state", "--config", "missing.toml"), "missing.toml"),
        (("--listen", "127.0.0.1:0", "--state", "state", "--config", "bad.toml"), "there is no setting times.rings"),
        (("--listen", "127.0.0.1:0", "--state", "state", "--peer", "no port:x"), "not a port"),
        (("--check-config", "--config", "bad.toml"), "there is no setting times.rings"),
        (("--check-config", "--config", "file"), "is not TOML"),
    ],
    ids=str,
)
def test_what_it_refuses(tmp_path: Path, state: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "file").write_text("\x00 = ")
    (tmp_path / "bad.toml").write_text("[times]\nrings = 5\n")
    (tmp_path / "state").symlink_to(state)
    outcome = uzel("node", "run", *arguments, folder=tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.sentence()


def refused(state: Path, *listen: str) -> Outcome:
    flags = [flag for address in listen for flag in ("--listen", address)]
    return uzel("node", "run", "--state", str(state), *flags)


def test_a_port_or_a_state_folder_in_use(tmp_path: Path, state: Path) -> None:
    with StartedNode(state) as node:
        busy = refused(tmp_path / "other", "127.0.0.1:0", node.address)
        assert (busy.code, busy.out) == (1, "")
        assert "is in use by another program" in busy.sentence()
        locked = refused(state, "127.0.0.1:0")
        assert (locked.code, locked.out) == (1, "")
        assert "another node runs on the state folder" in locked.sentence()


def test_the_printed_settings_load_again(tmp_path: Path, state: Path) -> None:
    printed = uzel("node", "print-config")
    assert (printed.code, printed.err) == (0, "")
    config = tmp_path / "node.toml"
    config.write_text(printed.out)
    checked = uzel("node", "run", "--check-config", "--config", str(config))
    assert checked == Outcome(0, "the settings are valid\n", "")
    config.write_text(printed.out.replace("listen = []", 'listen = ["127.0.0.1:0"]'))
    with StartedNode(state, "--config", str(config), "--peer", "node.example:8935") as node:
        outcome = node.stop()
    assert outcome.code == 0
    assert "does not link nodes yet" in outcome.err


def test_modules_in_the_folder_it_stands_in_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(77)")
    outcome = uzel("node", "run", "--state", "/proc/uzel", "--listen", "127.0.0.1:0", folder=tmp_path)
    assert outcome.code == 1
