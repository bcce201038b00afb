"""Effects are carried out in their order, whatever one of them causes."""

from __future__ import annotations

import asyncio
from typing import cast

from uzel.errors import Reason
from uzel.node.config import NodeConfig
from uzel.node.connections import ConnectionBounds, Connections
from uzel.node.effects import Effect, StopDial
from uzel.node.log import NodeLog
from uzel.node.shared import Shared
from uzel.node.switchboard import Switchboard


class Board:
    """As much of a switchboard as `Shared` knows: effects to be taken."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def take_effects(self) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects

    def decides(self, *numbers: int) -> None:
        self.effects += map(StopDial, numbers)


def test_what_an_effect_causes_is_done_behind_those_that_were_there_before() -> None:
    async def story() -> None:
        board, done, after = Board(), list[int](), list[int]()

        def hand(effect: Effect) -> None:
            assert isinstance(effect, StopDial)
            if effect.dial == 1:
                board.decides(10, 11)
                shared.carry_out()
                shared.carry_out_soon()
            done.append(effect.dial)

        bounds = Connections(ConnectionBounds())
        shared = Shared(
            NodeConfig(),
            NodeLog(),
            cast("Switchboard", board),
            bounds,
            hand=hand,
            after=lambda: after.append(len(done)),
        )
        board.decides(1, 2, 3)
        shared.carry_out()
        assert done == [1, 2, 3, 10, 11]
        assert after == [5]
        board.decides(4)
        shared.carry_out_soon()
        shared.carry_out_soon()
        assert done[-1] == 11
        await asyncio.sleep(0)
        assert done[-1] == 4
        assert after == [5, 6]
        assert shared.new_id() != shared.new_id()

    asyncio.run(story())


def test_the_end_of_a_connection_is_counted() -> None:
    async def story() -> None:
        log = NodeLog()
        bounds = Connections(ConnectionBounds())
        board = cast("Switchboard", Board())
        shared = Shared(NodeConfig(), log, board, bounds, hand=lambda _: None, after=lambda: None)
        shared.log_closed("link_closed", "192.0.2.1", Reason.SILENCE, "for long")
        shared.log_closed("link_closed", "192.0.2.1", None, "")
        assert log.counters == {Reason.SILENCE: 1}

    asyncio.run(story())
