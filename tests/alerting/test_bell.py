import asyncio

from alerting.bell import Bell


async def test_it_rings_for_everyone_who_waits_from_any_thread() -> None:
    bell = Bell(3)
    waiting = [asyncio.create_task(bell.wait(3, 30)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.to_thread(bell.ring, 4)
    assert await asyncio.gather(*waiting) == [4] * 5


async def test_who_is_behind_is_answered_at_once() -> None:
    assert await Bell(3).wait(2, 0) == 3


async def test_after_the_time_is_up_it_tells_what_there_is() -> None:
    assert await Bell(3).wait(3, 0) == 3
    assert await Bell(3).wait(9, 0.001) == 3


async def test_an_older_ring_changes_nothing_and_a_ring_between_two_waits_is_not_lost() -> None:
    bell = Bell(3)
    bell.ring(5)
    bell.ring(4)
    assert await bell.wait(3, 30) == 5
    assert await bell.wait(4, 0) == 5


async def test_a_bell_whose_loop_has_ended_stays_silent() -> None:
    def ended() -> Bell:
        async def make() -> Bell:
            return Bell()

        return asyncio.run(make())

    bell = await asyncio.to_thread(ended)
    bell.ring(1)
