"""`uzel`, but that its window is boundless (D28): what `test_slow_line` must find. There is no setting that does this.

Takes the arguments of `uzel`.
"""

from __future__ import annotations

from uzel.app.main import main
from uzel.session import envelope_conversation
from uzel.session.envelope_conversation import EnvelopeMachine

if __name__ == "__main__":
    assert EnvelopeMachine.__init__.__kwdefaults__ == {"window": envelope_conversation.WINDOW_UZEL}
    EnvelopeMachine.__init__.__kwdefaults__["window"] = 1 << 40
    main()
