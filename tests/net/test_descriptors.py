"""Limits of open files, and the spare descriptor."""

import os
import resource
from collections.abc import Iterator

import pytest

from uzel.net.descriptors import LEAST_CONNECTIONS, SpareDescriptor, open_descriptors, prepare_descriptors


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_and_the_bound_follows(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    bound = prepare_descriptors(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert bound == min(hard - 100 - open_descriptors(), 1_000_000)


def test_a_tiny_limit_still_serves_someone() -> None:
    assert prepare_descriptors(10**9) == LEAST_CONNECTIONS


def test_open_descriptors_are_counted() -> None:
    before = open_descriptors()
    fd = os.open(os.devnull, os.O_RDONLY)
    assert open_descriptors() == before + 1
    os.close(fd)
    assert open_descriptors() == before


def test_the_spare_is_there_when_nothing_else_is(limits: tuple[int, int]) -> None:
    spare = SpareDescriptor()
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, limits[1]))
    with pytest.raises(OSError, match="Too many open files"):
        os.open(os.devnull, os.O_RDONLY)
    spare.release()
    assert not spare.held
    other = os.open(os.devnull, os.O_RDONLY)
    assert not spare.take()
    os.close(other)
    assert spare.take()
    assert spare.take()
    spare.close()
    spare.close()
