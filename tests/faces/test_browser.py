"""The page is opened without its address in any argument: by a file of one's own, which goes."""

from __future__ import annotations

import html
import re
import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from uzel.faces.cli.browser import FILE, leading_file, open_page

ADDRESS = 'http://127.0.0.1:8940/#to"ken&<'


def test_the_file_leads_there_is_private_and_goes(tmp_path: Path) -> None:
    with leading_file(tmp_path, ADDRESS) as url:
        assert "token" not in url
        path = Path(unquote(urlsplit(url).path))
        assert path == tmp_path / FILE
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        found = re.search(r'content="0;url=([^"]*)"', text)
        assert found is not None
        assert html.unescape(found[1]) == ADDRESS
        assert "<script" not in text
    assert not path.exists()


def test_the_browser_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    looks = iter([False, False, True])

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    assert open_page(tmp_path, ADDRESS, lambda: next(looks))
    assert opened == [(tmp_path / FILE).as_uri()]
    assert not (tmp_path / FILE).exists()
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert not open_page(tmp_path, ADDRESS, lambda: False)
