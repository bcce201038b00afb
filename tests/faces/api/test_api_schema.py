"""The interface against its own document: thousands of requests, single and in sequences, every check, no 500.

They come over the real port, from another thread than the core's. The event stream has no end and the wait lasts, so
both are left to tests by hand; asking the core to end would end the test.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.config._checks import NegativeDataRejectionConfig

from client.client_world import ALICE, BOB, world
from core.core_world import cores
from faces.api.api_world import served
from uzel.store.admin_socket import API_TOKEN

EACH = 30
"""Examples of each operation, of good data and bad."""
SEQUENCES, STEPS = 75, 12
LEAST = 2000
LEFT_OUT = (
    "/v1/events", "/v1/texts/{number}/wait", "/v1/stop",
    "/v1/profile/passphrase", "/v1/profile/backup", "/v1/nodes",  # slow, or they would lock us out: test_api_own
)  # fmt: skip
ACCEPTED = ["2xx", "401", "403", "404", "409", "422"]
"""422 too: a string of the right shape may still be no contact link, or no name (a rule of words, not of JSON)."""


class Served:
    """A core and its interface on a thread of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.failed: BaseException | None = None

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)
        if self.failed:
            raise self.failed

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with (
                world() as w,
                cores(self._folder, ALICE, BOB, at=w) as (alice, bob),
                served(alice, port=0) as server,
            ):
                for number in range(3):
                    await alice.says(bob, f"text {number}")
                    await bob.says(alice, f"answer {number}")
                assert server.url is not None
                self.url, self.token = server.url, (alice.folder / API_TOKEN).read_text().strip()
                self._ready.set()
                await self._over.wait()
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self._ready.set()


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("core"))
    made.start()
    yield made
    made.stop()


def schema_of(core: Served) -> Any:
    project = ProjectConfig(
        headers={"Authorization": f"Bearer {core.token}"},
        checks=ChecksConfig(
            positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=ACCEPTED),
            negative_data_rejection=NegativeDataRejectionConfig(expected_statuses=["4xx"]),
        ),
        generation=GenerationConfig(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], max_examples=EACH),
    )
    config = SchemathesisConfig(projects=ProjectsConfig(default=project))
    loaded: Any = schemathesis.openapi.from_url(
        f"{core.url}/v1/openapi.json", config=config, headers={"Authorization": f"Bearer {core.token}"}
    )
    for path in LEFT_OUT:
        loaded = loaded.exclude(path=path)
    return loaded


def quick(examples: int, steps: int = 1) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.mark.timeout(240)
def test_the_interface_keeps_to_its_document(core: Served, record_property: Any) -> None:
    schema = schema_of(core)
    asked: Counter[str] = Counter()
    answered: Counter[int] = Counter()
    session = requests.Session()

    def count(response: requests.Response, *_: Any, **__: Any) -> None:
        answered[response.status_code] += 1

    session.hooks["response"].append(count)
    for result in schema.get_all_operations():
        operation = result.ok()
        asked[operation.label] += 1

        def check(case: Any) -> None:
            case.call_and_validate(session=session)

        strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(
            generation_mode=GenerationMode.NEGATIVE
        )
        wrapped: Any = given(strategy)
        runs: Any = quick(EACH)
        runs(wrapped(check))()

    class Machine(schema.as_state_machine()):  # type: ignore[misc]  # made at run time
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"session": session}

    Machine.run(settings=quick(SEQUENCES, STEPS))
    total = sum(answered.values())
    record_property("summary", f"{total} requests to {len(asked)} operations: {dict(answered)}")
    assert not [status for status in answered if status >= 500]
    assert total >= LEAST
    assert answered[200] + answered[201] + answered[204] > total / 10
