"""`uzel start --web` and `uzel web`: addresses that let in once and are in no process's arguments; what is refused."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from e2e.cli_harness import Running, uzel

NOWHERE = "127.0.0.1:1"


@contextmanager
def core(folder: Path, *options: object, env: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """A running core, and what it says when it is ready."""
    assert uzel("identity", "new", "--profile", folder).returncode == 0
    with Running("start", "--profile", folder, "--node", NOWHERE, *options, env=env) as started:
        yield json.loads(started.line())


def all_arguments() -> Iterator[bytes]:
    """Of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            yield path.read_bytes()


def let_in(address: str) -> int:
    page, _, token = address.strip().partition("#")
    return httpx.post(f"{page}session", json={"token": token}).status_code


def test_each_address_lets_in_once_and_is_in_no_argument(tmp_path: Path) -> None:
    mine = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert uzel("config", "set", "page.devices", "1", env=mine).returncode == 0
    with core(tmp_path / "a", "--web", "--web-port", "0", env=mine) as ready:
        shown = uzel("web", "--profile", tmp_path / "a")
        assert (shown.returncode, shown.stderr, shown.stdout.count("\n")) == (0, "", 1)
        for address in (ready["page"], shown.stdout):
            token = address.strip().partition("#")[2].encode()
            assert not any(token in arguments for arguments in all_arguments())
            assert [let_in(address), let_in(address)] == [200, 401]
        with httpx.Client(transport=httpx.HTTPTransport(uds=ready["socket"])) as owner:
            assert len(owner.get("http://core/v1/devices").json()["devices"]) == 1  # as was set
        told = uzel("status", "--profile", tmp_path / "a").stdout
        assert told.splitlines()[-2:] == ["refusals at the page since the start", "  one_time_used  2"]


def test_without_a_page_it_is_said(tmp_path: Path) -> None:
    with core(tmp_path / "a") as ready:
        assert ready["page"] is None
        shown = uzel("web", "--profile", tmp_path / "a")
        assert (shown.returncode, shown.stdout) == (1, "")
        assert "uzel start --web" in shown.stderr
    shown = uzel("web", "--profile", tmp_path / "a")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "No core runs" in shown.stderr


def test_what_cannot_be_served_is_refused_with_the_way_out(tmp_path: Path) -> None:
    assert uzel("identity", "new", "--profile", tmp_path / "a").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = str(taken.getsockname()[1])
        for options, words in (
            (("--web", "--web-port", busy), f"--web-port {busy}"),
            (("--web", "--share", "0.0.0.0:8943"), "ssh -N -L 8940:127.0.0.1:8940"),
            (("--share", "0.0.0.0:8943"), "add --web"),
        ):
            shown = uzel("start", "--profile", tmp_path / "a", "--node", NOWHERE, *options)
            assert (shown.returncode, shown.stdout) == (1, "")
            assert words in shown.stderr
            assert "Traceback" not in shown.stderr
