"""What went wrong, by name: every reason a client meets is counted, and logged under `uzel.client`, never with content.

Counterpart on a node: `node.log`.
"""

from __future__ import annotations

import logging
from collections import Counter

from uzel.errors import Reason

logger = logging.getLogger("uzel.client")


class Reasons(Counter[Reason]):
    """The count of each reason."""

    def note(self, reason: Reason) -> None:
        """Count it and log it."""
        self[reason] += 1
        logger.info("%s", reason, extra={"event": "ended", "reason": reason})
