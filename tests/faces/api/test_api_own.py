"""What is one's own over the interface: name, passphrase, back-up, nodes, preferences, pictures, who is connected."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import segno

from client.client_world import ALICE, BOB, world
from core.core_world import cores, run, until_async
from faces.api.api_world import asking, faced, following, good, problem, served
from uzel.errors import WrongPassphraseError
from uzel.names import ContactLink
from uzel.store.admin_socket import API_SOCKET
from uzel.store.backup import restore
from uzel.store.profile import KEY_FILE, Profile


def test_a_name_stands_in_ones_own_links(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)):
            shown = good(await a.get("/profile"))
            assert shown == {
                "name": "", "passphrase": False, "backed_up_at": None, "set_up": False, "folder": str(alice.folder),
            }  # fmt: skip
            shown = good(await a.patch("/profile", json={"name": "Алиса", "set_up": True}))
            assert (shown["name"], shown["set_up"]) == ("Алиса", True)
            assert ContactLink.parse(good(await a.get("/me"))["link"]).name == "Алиса"
            invite = good(await a.post("/invites", json={}), 201)["link"]
            assert ContactLink.parse(invite).name == "Алиса"
            assert ContactLink.parse(good(await a.post("/invites", json={"name": "A"}), 201)["link"]).name == "A"
            for name in ("x" * 65, "a\x00"):
                assert (await a.patch("/profile", json={"name": name})).status_code == 422
            await alice.stop()
            await alice.start()
            async with asking(alice) as again:
                assert good(await again.get("/profile"))["name"] == "Алиса"

    run(story)


def test_a_passphrase_is_set_changed_and_removed_while_texts_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, _)):
            path = "/profile/passphrase"
            await alice.settled(await alice.says(bob, "before"))
            good(await a.post(path, json={"new": "correct horse"}), 204)
            assert not (alice.folder / KEY_FILE).exists()
            assert good(await a.get("/profile"))["passphrase"] is True
            await alice.settled(await alice.says(bob, "between"))
            for wrong in (None, "wrong"):
                problem(await a.post(path, json={"new": "x" * 20, "current": wrong}), 422, "wrong_passphrase")
            good(await a.post(path, json={"new": "battery staple", "current": "correct horse"}), 204)
            await alice.stop()
            with pytest.raises(WrongPassphraseError):
                Profile.open(alice.folder, passphrase=lambda: "correct horse")
            Profile.open(alice.folder, passphrase=lambda: "battery staple").close()

    run(story)


def test_a_passphrase_is_removed(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, _)):
            good(await a.post("/profile/passphrase", json={"new": "correct horse"}), 204)
            good(await a.post("/profile/passphrase", json={"new": None, "current": "correct horse"}), 204)
            assert (alice.folder / KEY_FILE).exists()
            await alice.settled(await alice.says(bob, "after"))
            assert (await a.post("/profile/passphrase", json={"new": None})).status_code >= 400
            await alice.stop()
            await alice.start()
            assert [text.text for text in await alice.texts(bob)] == ["after"]

    run(story)


def test_a_back_up_is_all_that_is_needed(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (alice, bob), (a, _)):
            await alice.settled(await alice.says(bob, "kept"))
            with_code = await a.post("/profile/backup", json={})
            assert with_code.headers["content-type"] == "application/octet-stream"
            code = with_code.headers["x-uzel-recovery-code"]
            own = await a.post("/profile/backup", json={"passphrase": "correct horse"})
            assert "x-uzel-recovery-code" not in own.headers
            assert good(await a.get("/profile"))["backed_up_at"]
            assert not list(alice.folder.glob("*.tmp"))
            for name, answer, secret in (("code", with_code, code), ("own", own, "correct horse")):
                file = tmp_path / f"{name}.uzel"
                file.write_bytes(answer.content)
                with restore(file, tmp_path / name, secret) as restored:
                    assert restored.identity.uin == alice.uin

    run(story)


def test_nodes_are_changed_while_it_runs(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as other, faced(tmp_path) as (w, (alice, bob), (a, _)):
            await alice.settled(await alice.says(bob, "one"))
            shown = good(await a.get("/nodes"))
            assert [each["address"] for each in shown["nodes"]] == [str(w.reference.address)]
            assert (shown["nodes"][0]["current"], shown["roaming"]) == (True, False)
            chosen = [str(other.reference), str(w.reference)]
            shown = good(await a.put("/nodes", json={"nodes": chosen, "roaming": True}))
            assert shown["roaming"] is True
            await alice.messenger.wait_online(20)

            async def there() -> bool:
                return [each["current"] for each in good(await a.get("/nodes"))["nodes"]] == [True, False]

            await until_async("alice is at her first node", there)
            good(await a.put("/nodes", json={"nodes": [str(w.reference)]}))
            await alice.settled(await alice.says(bob, "two"))
            assert await bob.heard(alice) == ["one", "two"]
            assert good(await a.get("/nodes"))["roaming"] is True
            for nodes in ([], ["nowhere:0"], ["a:1"] * 17):
                assert (await a.put("/nodes", json={"nodes": nodes})).status_code == 422

    run(story)


def test_who_has_no_node_yet_is_asked_for_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as w, cores(tmp_path, ALICE, at=w) as (alice,):
            await alice.stop()
            alice._nodes = []
            await alice.start()
            async with asking(alice) as a:
                status = good(await a.get("/status"))
                assert (status["online"], status["reason"]) == (False, "no_node")
                good(await a.put("/nodes", json={"nodes": [str(w.reference)]}))
                await alice.messenger.wait_online(20)
                assert good(await a.get("/status"))["key_agreement"] == "X25519MLKEM768"

    run(story)


def test_preferences_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, (alice,), (a,)), served(alice):
            first = {"language": "auto", "theme": "auto", "notifications": False, "retention_default_ms": None}
            assert good(await a.get("/preferences")) == first
            chosen = {"language": "ru", "theme": "dark", "notifications": True, "retention_default_ms": 86_400_000}
            async with following(alice.folder / API_SOCKET) as stream:
                assert (await stream.event())[1] == "ready"
                assert good(await a.put("/preferences", json=chosen)) == chosen
                _, kind, told = await stream.kept()
                assert (kind, {name: told[name] for name in chosen}) == ("preferences", chosen)
            assert good(await a.get("/preferences")) == chosen
            problem(await a.put("/preferences", json={"language": "xx"}), 422, "bad_request")

    run(story)


def picture(text: str) -> tuple[bytes, int]:
    """Grey pixels of a QR code, and how many make a row."""
    rows = [bytes(255 * (not dark) for dark in row) for row in segno.make_qr(text).matrix_iter(scale=4, border=4)]
    return b"".join(rows), len(rows[0])


def test_pictures_of_qr_codes_are_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path, ALICE) as (_, _, (a,)):
            link = good(await a.get("/me"))["link"]
            pixels, width = picture(link)
            size = {"width": str(width), "height": str(width)}
            assert good(await a.post("/qr/read", content=pixels, params=size)) == {"texts": [link]}
            assert good(await a.post("/qr/read", content=bytes(len(pixels)), params=size)) == {"texts": []}
            for body in (pixels[:-1], pixels + b"x", b""):
                problem(await a.post("/qr/read", content=body, params=size), 422, "picture")
            huge = {"width": "1025", "height": "1024"}
            problem(await a.post("/qr/read", content=bytes(1025 * 1024), params=huge), 422, "picture")
            problem(await a.post("/qr/read", content=b"x", params={"width": "0", "height": "1"}), 422, "bad_request")

    run(story)


def test_a_link_is_looked_at_and_a_contact_shown_as_a_picture(tmp_path: Path) -> None:
    async def story() -> None:
        async with faced(tmp_path) as (_, (_, bob), (a, _)):
            link = ContactLink(bob.uin, bob.profile.identity.fingerprint, name="Bob", invite=b"x" * 16)
            assert good(await a.post("/contacts/parse", json={"link": str(link)})) == {
                "uin": int(bob.uin), "name": "Bob", "fingerprint": str(link.fingerprint), "nodes": [], "invite": True,
            }  # fmt: skip
            problem(await a.post("/contacts/parse", json={"link": "http://x"}), 422, "invalid_name")
            drawn = await a.get(f"/contacts/{int(bob.uin)}/qr.svg")
            expected = io.BytesIO()
            shown = good(await a.get(f"/contacts/{int(bob.uin)}"))["link"]
            segno.make_qr(shown).save(expected, kind="svg", scale=4, xmldecl=False)
            assert drawn.content == expected.getvalue()
            problem(await a.get("/contacts/5/qr.svg"), 404, "not_a_contact")

    run(story)


def test_who_is_connected_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            world() as w,
            cores(tmp_path, ALICE, BOB, at=w) as (alice, bob),
            served(alice),
            asking(alice) as a,
            following(alice.folder / API_SOCKET) as stream,
        ):

            async def conversation(connected: bool) -> dict[str, object]:
                while True:
                    number, kind, data = await stream.event()
                    if kind == "conversation" and (data["connected"], data["gate"]) == (connected, "open"):
                        assert number is None
                        return dict(data)

            await alice.settled(await alice.says(bob, "hello"))
            told = await conversation(connected=True)
            assert told == {
                "uin": int(bob.uin),
                "connected": True,
                "key_agreement": "X25519MLKEM768",
                "gate": "open",
                "downgraded": False,
            }
            contact = good(await a.get(f"/contacts/{int(bob.uin)}"))
            assert (contact["connected"], contact["key_agreement"]) == (True, "X25519MLKEM768")
            assert contact["gate"] == "open"
            (chat,) = good(await a.get("/chats"))["chats"]
            assert (chat["connected"], chat["verified"], chat["blocked"], chat["stopped"]) == (True, True, False, None)
            assert chat["last_seen"]
            await bob.stop()
            assert (await conversation(connected=False))["key_agreement"] is None
            assert good(await a.get("/chats"))["chats"][0]["connected"] is False
            await bob.start()

    run(story)
