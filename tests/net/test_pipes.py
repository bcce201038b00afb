"""The pool of pipes: bounded, frugal, and never an error."""

import os
import resource

from uzel.net.descriptors import open_descriptors
from uzel.net.pipes import PipePool


def test_a_pool_lends_up_to_its_limit_and_keeps_few() -> None:
    before = open_descriptors()
    pool = PipePool(limit=3, kept=1)
    lent = [pool.take() for _ in range(4)]
    pipes = [pipe for pipe in lent if pipe is not None]
    assert len(pipes) == 3
    assert (pool.out, pool.idle) == (3, 0)
    for pipe in pipes:
        pool.give(pipe)
    assert (pool.out, pool.idle) == (0, 1)
    assert open_descriptors() == before + 2
    pool.close()
    assert pool.take() is None
    assert open_descriptors() == before


def test_a_pipe_has_the_size_it_says_and_never_blocks() -> None:
    pool = PipePool(size=128 * 1024)
    pipe = pool.take()
    assert pipe is not None
    assert pipe.size == 128 * 1024
    assert os.write(pipe.entry, bytes(pipe.size + 1)) == pipe.size
    pool.discard(pipe)  # full: it must not come back
    assert (pool.out, pool.idle) == (0, 0)


def test_a_size_that_is_not_permitted_gives_a_smaller_pipe() -> None:
    pool = PipePool(size=2**31)  # beyond what the kernel can do, for root too
    pipe = pool.take()
    assert pipe is not None
    assert 4096 <= pipe.size < 2**31
    pool.discard(pipe)


def test_without_descriptors_there_is_no_pipe_and_no_error() -> None:
    pool = PipePool()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd, hard))
    try:
        assert pool.take() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (pool.out, pool.without_descriptors) == (0, 1)
