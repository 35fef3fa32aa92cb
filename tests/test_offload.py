import asyncio

import pytest

from holdfast.blocking import run
from holdfast.errors import LockTimeoutError
from holdfast.offload import Inline, Serial, TaskLock, ThreadLock, Threads

pytestmark = pytest.mark.anyio


@pytest.fixture
def threads():
    offload = Threads("test")
    yield offload
    offload.close()


async def test_what_a_call_raises_reaches_the_caller(threads):
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)


async def test_a_stop_iteration_reaches_the_caller_too(threads):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(threads.run(next, iter(())), 60)


async def test_one_thread_runs_calls_in_their_order_and_never_two_at_once(threads):
    seen = []
    await asyncio.gather(*(threads.run(seen.append, number) for number in range(100)))
    assert seen == list(range(100))


async def test_each_of_many_callers_gets_its_own_answer(threads):
    def work(number):
        if number % 3 == 0:
            raise ValueError(number)
        return number

    calls = (threads.run(work, number) for number in range(300))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [o.args[0] if isinstance(o, ValueError) else o for o in outcomes] == list(range(300))
    assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 100


async def test_an_answer_does_not_wait_for_the_calls_behind_it(threads):
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    quick = asyncio.create_task(threads.run(lambda: "quick"))
    slow = asyncio.create_task(
        threads.run(lambda: asyncio.run_coroutine_threadsafe(release.wait(), loop).result())
    )
    assert await asyncio.wait_for(quick, 60) == "quick"
    assert not slow.done()
    release.set()
    await slow


async def test_a_cancelled_caller_stops_waiting_while_the_call_goes_on(threads):
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    done = []

    def work():
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        done.append(True)

    waiting = asyncio.create_task(threads.run(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()
    await threads.run(lambda: None)
    assert done == [True]


async def test_closed_threads_refuse_calls():
    threads = Threads("test")
    threads.close()
    threads.close()
    with pytest.raises(RuntimeError, match="closed"):
        await threads.run(lambda: None)


async def test_a_task_that_waits_too_long_for_a_lock_is_told():
    lock = TaskLock(0.01)
    await lock.acquire()
    with pytest.raises(LockTimeoutError):
        await lock.acquire()
    lock.release()
    await lock.acquire()


def test_a_thread_that_waits_too_long_for_a_lock_is_told():
    lock = ThreadLock(0.01)
    run(lock.acquire())
    with pytest.raises(LockTimeoutError):
        run(lock.acquire())


def test_blocking_code_that_waits_for_a_loop_is_told_so():
    with pytest.raises(RuntimeError, match="event loop"):
        run(asyncio.sleep(0.01))


@pytest.mark.parametrize("offload", [Inline(), Serial()])
def test_inline_work_is_done_when_the_step_is(offload):
    assert run(offload.run(lambda: 3)) == 3
