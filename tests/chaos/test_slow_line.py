"""Much to say over a thin line arrives in one conversation, because the sender waits for reports (D28).

Scaled down: the line is twice as fast as the issue's 1 Mbit/s, the node holds a quarter (1 MiB, twice the window), and
3 MB are said; `make chaos` does it with 20 MB and the defaults. Without the window the node must end the conversation.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.slow_line import RECKLESS, TEXT, send_much
from e2e.cli_harness import UZEL

SIZE, BITS, HELD = 3_000_000, 2e6, 1 << 20


@pytest.mark.timeout(180)
def test_everything_arrives_in_one_conversation(tmp_path: Path) -> None:
    outcome = send_much(tmp_path, SIZE, BITS, HELD, 150.0, UZEL)
    assert (outcome.delivered, outcome.ended, outcome.refused) == (SIZE // TEXT, 0, 0)


@pytest.mark.timeout(180)
def test_a_sender_that_does_not_wait_is_found_out(tmp_path: Path) -> None:
    outcome = send_much(tmp_path, SIZE, BITS, HELD, 5.0, RECKLESS)
    assert outcome.refused > 0
