"""`uzel doctor`: what is wrong with a profile, its machine and its nodes, and how to mend it.

With a core running it asks that one about itself, its troubles and its nodes; else it looks itself, without logging in
as the person. Exit codes: 1 when something is to be mended here, else 3 when a node is not as it should be, else 0. A
warning changes none. Counterparts: `uzel.store.health`, `uzel.client.node_check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uzel.errors import ExitCode, UzelError
from uzel.faces.cli.asking import TimeoutOption, Values
from uzel.faces.cli.options import JsonOption, NodeOption, ProfileOption, profile_folder
from uzel.faces.cli.output import json_line, printable, put
from uzel.faces.cli.passphrases import PassphraseFileOption
from uzel.faces.cli.profiles import peek_profile
from uzel.faces.cli.running import run_until_signal, stop_on_signals
from uzel.local.core_socket import core_runs
from uzel.names import NodeReference
from uzel.store.profile_names import require_profile

if TYPE_CHECKING:  # help must not load cryptography
    from uzel.client.node_check import NodeCheck
    from uzel.store.health import Check
    from uzel.store.profile import Profile

NODE, NETWORK = "node", frozenset({"node", "connection"})
MOST_NAMED = 5
"""Contacts that are named in one line."""
_SIGNS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


def doctor(
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    node: NodeOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read all of the profile.")] = False,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 60.0,
) -> None:
    """\b
    uzel doctor --profile alice
    uzel doctor --profile alice --node node.example:8935 --json

    Look whether all is well: nodes, clock, disk, permissions, profile, backup. Says how to mend what is not.

    Exit codes: 0 all is well, or nearly; 1 something is to be mended here; 3 it is the network or a node.
    """
    stop_on_signals()
    given = [NodeReference.parse(text) for text in node or ()]
    folder = profile_folder(profile)
    wrong = set()
    for check in _look(folder, passphrase_file, given, timeout, quick=quick):
        if check.state == "wrong":
            wrong.add(check.check)
        put(json_line(_values(check)) if as_json else _line(check))
    if wrong - NETWORK:
        raise typer.Exit(ExitCode.FIXABLE)
    if wrong:
        raise typer.Exit(ExitCode.NETWORK)


def _look(
    folder: Path, passphrase_file: Path | None, given: list[NodeReference], timeout: float, *, quick: bool
) -> Iterator[Check]:
    from uzel.store.health import check_machine  # noqa: PLC0415 - help must not load it

    try:
        require_profile(folder)
    except UzelError as error:
        yield _no_profile(error)
        return
    yield from check_machine(folder)
    try:
        if core_runs(folder):
            yield from _ask_core(folder, given, timeout)
            return
        with peek_profile(folder, passphrase_file) as opened:
            yield from _look_into(opened, given, quick=quick)
    except UzelError as error:
        yield _no_profile(error)


def _no_profile(error: UzelError) -> Check:
    from uzel.store.health import Check, State  # noqa: PLC0415 - help must not load it

    return Check("profile", State.WRONG, error.detail or str(error), str(type(error)()))


def _ask_core(folder: Path, given: list[NodeReference], timeout: float) -> Iterator[Check]:
    from uzel.local.core_client import CoreClient  # noqa: PLC0415 - help must not load it
    from uzel.store.health import Check, State  # noqa: PLC0415

    with CoreClient(folder, timeout) as core:
        status = core.ask("GET", "/status")
        if (trouble := status["trouble"]) is not None:  # a full disk, a damaged file
            yield Check("profile", State.WRONG, trouble["detail"], trouble["title"])
        else:
            yield Check("profile", State.OK, "it is open in the running core; stop that to have all of it read")
        if status["contested"]:
            mend = "end the other program that uses this number; a key that was stolen cannot be taken back"
            yield Check("connection", State.WRONG, "another program uses this number", mend)
        elif status["online"]:
            yield Check("connection", State.OK, f"online at {status['node']}")
        else:
            mend = status["problem"] or "see the nodes below; uzel start says more in its log"
            yield Check("connection", State.WRONG, f"offline: {status['reason'] or 'logging in'}", mend)
        contacts = core.ask("GET", "/contacts")["contacts"]
        yield from _changed_keys(contacts)
        yield from _downgraded(contacts)
        asked_for: list[str | None] = [str(each) for each in given]
        for asked in asked_for or [None]:
            for found in core.ask("POST", "/nodes/check", {"node": asked})["nodes"]:
                yield _node_check(found)


def _changed_keys(contacts: list[Values]) -> Iterator[Check]:
    from uzel.store.health import Check, State  # noqa: PLC0415 - help must not load it

    stopped = [str(contact["uin"]) for contact in contacts if contact["stopped"] is not None]
    if stopped:
        mend = f"ask them over another channel whether they made a new identity: uzel contact show {stopped[0]}"
        detail = f"another key was shown by {_named(stopped)}: nothing goes either way"
        yield Check("contacts", State.WARNING, detail, mend)


def _downgraded(contacts: list[Values]) -> Iterator[Check]:
    from uzel.store.health import Check, State  # noqa: PLC0415 - help must not load it

    downgraded = [str(contact["uin"]) for contact in contacts if contact["downgraded"]]
    if downgraded:
        mend = f"ask them whether they went back to an older program: uzel contact show {downgraded[0]}"
        detail = f"less than before is offered by {_named(downgraded)}: nothing goes either way"
        yield Check("contacts", State.WARNING, detail, mend)


def _named(uins: list[str]) -> str:
    return ", ".join(uins[:MOST_NAMED]) + (" and others" if len(uins) > MOST_NAMED else "")


def _look_into(profile: Profile, given: list[NodeReference], *, quick: bool) -> Iterator[Check]:
    from uzel.core.own_nodes import NODES  # noqa: PLC0415 - help must not load it
    from uzel.store.health import Check, State  # noqa: PLC0415
    from uzel.store.options import Options  # noqa: PLC0415
    from uzel.store.upkeep import check  # noqa: PLC0415

    findings = [] if quick else check(profile)
    for finding in findings:
        yield Check("profile", State.WRONG, f"{finding.check}: {finding.detail}", "restore a backup into a new folder")
    if not findings:
        yield Check("profile", State.OK, "it can be opened" if quick else "all of it was read")
    nodes = given or [NodeReference.parse(text) for text in Options(profile.connection).get(NODES)]
    if not nodes:
        yield Check(NODE, State.WARNING, "none was named yet", "uzel start --node HOST:PORT")
        return
    for found in run_until_signal(_check_nodes(profile, nodes)):
        yield _node_check(_shown(found))


async def _check_nodes(profile: Profile, nodes: list[NodeReference]) -> list[NodeCheck]:
    from uzel.client.node_check import check_node  # noqa: PLC0415 - help must not load the client

    return [await check_node(node, profile.pins.node(node.address)) for node in nodes]


def _shown(found: NodeCheck) -> Values:
    """As the local interface shows it, as far as it is needed here."""
    return {
        "node": str(found.node.address),
        "problem": found.problem or None,
        "expected": found.expected and str(found.expected),
        "key_agreement": found.key_agreement,
        "tls": found.tls,
        "connect_ms": found.connect_ms,
        "login_ms": found.login_ms,
    }


def _node_check(found: Values) -> Check:
    from uzel.client.node_check import POST_QUANTUM  # noqa: PLC0415 - help must not load the client
    from uzel.store.health import Check, State  # noqa: PLC0415

    if found["problem"]:
        return Check(
            NODE, State.WRONG, f"{found['node']}: {found['problem']}", "ask the node's operator, or use another"
        )
    detail = (
        f"{found['node']}: {found['tls']}, {found['key_agreement']}, connected in {found['connect_ms']:.0f} ms, "
        f"logged in in {found['login_ms']:.0f} ms"
    )
    if found["key_agreement"] != POST_QUANTUM:
        return Check(NODE, State.WARNING, detail, f"its operator should update it: it does not speak {POST_QUANTUM}")
    if found["expected"] is None:
        return Check(NODE, State.OK, detail + "; its key was not met before")
    return Check(NODE, State.OK, detail + "; its key is the known one")


def _values(check: Check) -> dict[str, object]:
    return {"check": check.check, "state": str(check.state), "detail": check.detail, "mend": check.mend or None}


def _line(check: Check) -> str:
    line = f"{_SIGNS[check.state]} {check.check}: {printable(check.detail)}\n"
    return line + (f"        mend: {printable(check.mend)}\n" if check.mend else "")
