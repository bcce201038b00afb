"""The sockets of the interface: whose they are, what is left of a crash, what is taken away at the end."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import httpx
import pytest

from client.client_world import ALICE, open_sockets
from core.core_world import cores, run, world
from faces.api.api_world import good, problem, served
from uzel.errors import ConfigError
from uzel.faces.api import ApiServer
from uzel.store.admin_socket import API_SOCKET, API_TOKEN


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_socket_and_the_token_are_their_owners_and_go_at_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            previous = os.umask(0)
            try:
                async with served(alice, port=0) as server:
                    path, token = alice.folder / API_SOCKET, alice.folder / API_TOKEN
                    assert (mode(path), mode(token)) == (0o600, 0o600)
                    assert server.url is not None
                    transport = httpx.AsyncHTTPTransport(uds=str(path))
                    async with httpx.AsyncClient(transport=transport, base_url="http://core/v1") as client:
                        assert good(await client.get("/status"))["uin"] == alice.uin
                    bearer = {"Authorization": f"Bearer {token.read_text().strip()}"}
                    async with httpx.AsyncClient(base_url=server.url) as client:
                        assert good(await client.get("/v1/status", headers=bearer))["uin"] == alice.uin
                        problem(await client.get("/v1/status"), 401, "unauthorized")
                        evil = {**bearer, "Host": "evil.example"}
                        problem(await client.get("/v1/status", headers=evil), 403, "foreign_host")
                assert not path.exists()
                assert not token.exists()
            finally:
                os.umask(previous)

    run(story)


def test_what_a_crash_left_is_replaced_and_what_is_no_socket_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            path = alice.folder / API_SOCKET
            with socket.socket(socket.AF_UNIX) as crashed:
                crashed.bind(str(path))
            async with served(alice):
                assert mode(path) == 0o600
            path.write_text("somebody's")
            before = open_sockets()
            with pytest.raises(ConfigError, match="not a socket"):
                await ApiServer(alice.messenger, alice.folder, port=0).start()
            assert path.read_text() == "somebody's"
            assert not (alice.folder / API_TOKEN).exists()
            assert open_sockets() == before

    run(story)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            with socket.create_server(("127.0.0.1", 0)) as taken:
                for port in (taken.getsockname()[1], 65536):
                    with pytest.raises(ConfigError, match="--api-port"):
                        await ApiServer(alice.messenger, alice.folder, port=port).start()

    run(story)


def test_answers_on_the_port_do_not_wait_for_the_readers_kernel(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,), served(alice, port=0) as server:
            assert server.url is not None
            async with httpx.AsyncClient(base_url=server.url) as client:
                await client.get("/v1/status")
                ((connection,),) = [
                    each[1]._server.server_state.connections
                    for each in server._served
                    if each[1]._server.server_state.connections
                ]
                sock = connection.transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(story)


def test_a_folder_with_a_long_path_will_do(tmp_path: Path) -> None:
    async def story() -> None:
        deep = tmp_path / ("x" * 120)
        deep.mkdir()
        async with world() as w, cores(deep, ALICE, at=w) as (alice,), served(alice):
            assert mode(alice.folder / API_SOCKET) == 0o600

    run(story)
