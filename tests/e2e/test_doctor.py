"""`uzel doctor` as a person meets it: with a core and without, with a node that is well and with none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from client.client_world import ALICE, BOB, identity
from core.core_world import cores, run, world
from e2e.cli_harness import RunningNode, uzel
from e2e.test_cli_core import Person
from faces.api.api_world import served
from uzel.errors import PeerKeyChangedError, StorageError
from uzel.identity import Identity
from uzel.store.profile import Profile

BOB_UIN = identity(BOB).uin
pytestmark = pytest.mark.timeout(240)  # a dozen processes, on a busy machine


def examined(folder: Path, *arguments: object, code: int) -> dict[str, Any]:
    done = uzel("doctor", *arguments, "--profile", folder, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(each) == ["check", "state", "detail", "mend"] for each in found)
    return {each["check"]: each for each in found}


def test_the_doctor_asks_a_running_core_for_its_trouble(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, BOB, at=w) as (alice, bob), served(alice):
            await alice.settled(await alice.says(bob, "before"))  # all that is written when people meet is written
            await alice.disk_is_full()
            with pytest.raises(StorageError):
                await alice.messenger.send(BOB_UIN, "x" * 100_000)
            found = await asyncio.to_thread(examined, alice.folder, code=1)
            assert found["profile"]["state"] == "wrong"
            assert "full" in found["profile"]["detail"]
            assert "free space" in found["profile"]["mend"]
            shown = await asyncio.to_thread(uzel, "status", "--profile", alice.folder)
            assert "did not take" in shown.stdout
            await alice.disk_is_full(full=False)
            changed = PeerKeyChangedError()
            changed.shown = identity(ALICE).fingerprint
            await alice.messenger.people.key_changed(BOB_UIN, changed)
            assert (await alice.messenger.status()).trouble is None
            found = await asyncio.to_thread(examined, alice.folder, code=0)
            assert str(BOB_UIN) in found["contacts"]["detail"]
            assert f"contact show {BOB_UIN}" in found["contacts"]["mend"]

    run(story)


def test_the_doctor_finds_what_is_well_and_what_is_not(tmp_path: Path) -> None:
    Profile.create(tmp_path / "alice", Identity.generate()).close()
    alice = Person(tmp_path / "alice")
    assert examined(alice.folder, code=0)["node"]["detail"] == "none was named yet"
    with RunningNode(tmp_path / "node") as node:
        with alice.start("--node", node.written):
            while not alice.asks("status")["online"]:
                pass
            known = examined(alice.folder, code=0)
            assert "its key is the known one" in known["node"]["detail"]
            assert "X25519MLKEM768" in known["node"]["detail"]
            assert alice.asks("status")["online"] is True  # it was not thrown off
            wrong = examined(alice.folder, "--node", f"{node.written},{'A' * 43}", code=3)["node"]
            assert "has changed" in wrong["detail"]
        assert "its key is the known one" in examined(alice.folder, code=0)["node"]["detail"]
        assert node.end() == 0
    assert examined(alice.folder, code=3)["node"]["state"] == "wrong"
    alice.folder.chmod(0o777)
    assert "everyone may write" in examined(alice.folder, code=1)["profile"]["detail"]
    alice.folder.chmod(0o700)
    (alice.folder / "profile.key").chmod(0o644)
    shown = uzel("doctor", "--profile", alice.folder)
    assert (shown.returncode, "mend: chmod 600" in shown.stdout) == (1, True)
    assert examined(alice.folder, code=1)["permissions"]["mend"] == f"chmod 600 {alice.folder}/profile.key"
