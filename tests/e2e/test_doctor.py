"""`uzel doctor` as a person meets it: with a core and without, with a node that is well and with none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.cli_harness import RunningNode, uzel
from e2e.test_cli_core import Person
from uzel.identity import Identity
from uzel.store.profile import Profile

pytestmark = pytest.mark.timeout(240)  # a dozen processes, on a busy machine


def examined(person: Person, *arguments: object, code: int) -> dict[str, Any]:
    lines = person.run("doctor", *arguments, "--json", code=code).splitlines()
    found = [json.loads(line) for line in lines]
    assert all(list(each) == ["check", "state", "detail", "mend"] for each in found)
    return {each["check"]: each for each in found}


def test_the_doctor_finds_what_is_well_and_what_is_not(tmp_path: Path) -> None:
    Profile.create(tmp_path / "alice", Identity.generate()).close()
    alice = Person(tmp_path / "alice")
    assert examined(alice, code=0)["node"]["detail"] == "none was named yet"
    with RunningNode(tmp_path / "node") as node:
        with alice.start("--node", node.written):
            while not alice.asks("status")["online"]:
                pass
            known = examined(alice, code=0)
            assert "its key is the known one" in known["node"]["detail"]
            assert "X25519MLKEM768" in known["node"]["detail"]
            assert alice.asks("status")["online"] is True  # it was not thrown off
            wrong = examined(alice, "--node", f"{node.written},{'A' * 43}", code=3)["node"]
            assert "has changed" in wrong["detail"]
        assert "its key is the known one" in examined(alice, code=0)["node"]["detail"]
        assert node.end() == 0
    assert examined(alice, code=3)["node"]["state"] == "wrong"
    alice.folder.chmod(0o777)
    assert "everyone may write" in examined(alice, code=1)["profile"]["detail"]
    alice.folder.chmod(0o700)
    (alice.folder / "profile.key").chmod(0o644)
    shown = uzel("doctor", "--profile", alice.folder)
    assert (shown.returncode, "mend: chmod 600" in shown.stdout) == (1, True)
    assert examined(alice, code=1)["permissions"]["mend"] == f"chmod 600 {alice.folder}/profile.key"
