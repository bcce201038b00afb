"""`uzel`, but that a commit is not synced: what `test_synced` must find. There is no setting that does this.

Takes the arguments of `uzel`.
"""

from __future__ import annotations

from uzel.app.main import main
from uzel.store import cipher

if __name__ == "__main__":
    settings = [setting.replace("synchronous = FULL", "synchronous = NORMAL") for setting in cipher._SETTINGS]
    assert "synchronous = NORMAL" in settings
    vars(cipher)["_SETTINGS"] = tuple(settings)
    main()
