"""The list of devices: what opens it, when a device is signed out, how many there are."""

from __future__ import annotations

from dataclasses import replace

from uzel.faces.page_settings import PageSettings
from uzel.faces.web.devices import MOST_NAME, Devices, Shown, clean

SETTINGS = PageSettings(idle=100, lifetime=1000, devices=2, note_seen=10)
SHOWN = Shown("0011223344556677", "token", "secret")


def made() -> Devices:
    devices = Devices(b"key", SETTINGS)
    assert devices.admit(SHOWN, "Desk", "local", "http:1", 0) == []
    return devices


def test_only_both_secrets_in_the_right_place_will_do() -> None:
    devices = made()
    assert devices.find(SHOWN, "http:1", 1) is not None
    assert devices.find(SHOWN, "https:1", 1) is None
    for wrong in (replace(SHOWN, token="x"), replace(SHOWN, secret="x"), replace(SHOWN, id="x")):
        assert devices.find(wrong, "http:1", 1) is None
    assert devices.find(Shown(SHOWN.id, "secret", "token"), "http:1", 1) is None


def test_what_is_kept_opens_nothing_and_is_no_good_elsewhere() -> None:
    devices = made()
    assert "token" not in repr(devices.all())
    assert Devices(b"key", SETTINGS, devices.all()).find(SHOWN, "http:1", 1) is not None
    assert Devices(b"another file's", SETTINGS, devices.all()).find(SHOWN, "http:1", 1) is None
    assert "token" not in repr(SHOWN)


def test_a_device_is_signed_out_when_it_was_not_seen_and_in_the_end() -> None:
    devices = made()
    assert devices.find(SHOWN, "http:1", 99_999) is not None
    assert devices.find(SHOWN, "http:1", 100_000) is None
    for now in range(50_000, 1_000_000, 50_000):
        device = devices.find(SHOWN, "http:1", now)
        assert device is not None
        assert devices.seen(device, now)
    assert devices.find(SHOWN, "http:1", 1_000_000) is None
    assert devices.expire(1_000_000) == [SHOWN.id]


def test_that_it_was_seen_is_written_down_now_and_then() -> None:
    devices = made()
    (device,) = devices.all()
    assert not devices.seen(device, 9_999)
    assert devices.seen(device, 10_000)


def test_the_longest_unseen_goes_for_a_new_one() -> None:
    devices = made()
    devices.admit(replace(SHOWN, id="b"), "", "local", "http:1", 1)
    (first, _) = devices.all()
    devices.seen(first, 20_000)
    assert devices.admit(replace(SHOWN, id="c"), "", "local", "http:1", 30_000) == ["b"]


def test_names_are_for_eyes() -> None:
    assert clean("a\x1b[1mb\u202ec\n") == "a[1mbc"
    assert clean("\n") == "?"
    assert len(clean("x" * 1000)) == MOST_NAME
