"""A code is read through the camera: Chromium films a file in place of what stands before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import segno
from playwright.sync_api import Browser, expect

from faces.web_page.town import Town, chromium
from uzel.identity import Identity
from uzel.names import ContactLink

pytestmark = pytest.mark.timeout(240)
WIDTH, HEIGHT = 640, 480
ANYBODY = Identity.generate()
LINK = str(ContactLink(ANYBODY.uin, ANYBODY.fingerprint, (), "Carol"))


def film(path: Path, text: str) -> None:
    """One frame, which Chromium shows again and again: a code on white, in the greys of YUV4MPEG2."""
    rows = [bytes(0 if dark else 255 for dark in row) for row in segno.make_qr(text).matrix_iter(scale=5, border=4)]
    left, top = (WIDTH - len(rows[0])) // 2, (HEIGHT - len(rows)) // 2
    blank = b"\xff" * WIDTH
    lines = [b"\xff" * left + row + b"\xff" * (WIDTH - left - len(row)) for row in rows]
    grey = b"".join([blank] * top + lines + [blank] * (HEIGHT - top - len(lines)))
    no_colour = b"\x80" * (WIDTH * HEIGHT // 2)
    path.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\nFRAME\n".encode() + grey + no_colour)


@pytest.fixture
def filmed(tmp_path: Path, browser: Browser) -> Iterator[Town]:
    film(tmp_path / "code.y4m", LINK)
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={tmp_path / 'code.y4m'}"]
    launched = browser.browser_type.launch(executable_path=chromium(), args=["--no-sandbox", *flags])
    with launched, Town(tmp_path, launched) as town:
        yield town


def test_a_code_before_the_camera_is_read_once_it_may_be_used(filmed: Town) -> None:
    person = filmed.person("Alice")
    person.ready()
    window = filmed.window(person)
    window.go("/add")
    window.shows("textarea.wide-input")
    scan = window.page.get_by_role("button", name="Scan with the camera")
    scan.click()
    expect(window.page.locator("dialog .mistake")).to_contain_text("camera")  # nobody allowed it yet
    window.page.keyboard.press("Escape")
    window.context.grant_permissions(["camera"])
    scan.click()
    expect(window.page.locator(".wide-input")).to_have_value(LINK)
    expect(window.page.locator(".found-contact")).to_contain_text(str(ANYBODY.uin))
    expect(window.page.locator("dialog[open]")).to_have_count(0)
    window.close()
