import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser, FloatRect, Route

from config.clock import US_PER_SECOND, from_datetime
from config.settings import DashboardSettings
from config.vocabulary import Severity
from dashboard_api.app import create_app
from dashboard_api.ports import Health
from dashboard_api.server import serve
from detectors.model import Phase
from tests.support.browser import DESK, PHONE, Centre, chromium, command_centre
from tests.support.dashboard import ACCOUNT, PASSWORD, Desk, desk, morning

# One browser for all tests of this file, so all of them share its event loop.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PICTURES = Path(__file__).parents[2] / "docs"
COLOURED = """() => {
  const small = new OffscreenCanvas(200, 120).getContext('2d', {willReadFrequently: true});
  small.drawImage(document.querySelector('.map canvas'), 0, 0, 200, 120);
  const {data} = small.getImageData(0, 0, 200, 120);
  let coloured = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, alpha] = data.slice(i, i + 4);
    if (alpha > 150 && Math.max(r, g, b) - Math.min(r, g, b) > 60) coloured += 1;
  }
  return coloured;
}"""
"""How many of 24,000 points of the map have a colour."""
DRAWN = """() => {
  const canvas = document.querySelector('.map canvas');
  const place = canvas.getBoundingClientRect();
  const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 3; i < data.length; i += 4) {
    if (data[i] < 200) continue;
    const [x, y] = [(i >> 2) % width, Math.floor((i >> 2) / width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }
  const [across, down] = [place.width / width, place.height / height];
  return {x: place.left + left * across, y: place.top + top * down, width: (right - left) * across,
    height: (bottom - top) * down};
}"""
"""The box on the screen that holds all that is drawn on the map."""
MARKED_AT = """() => {
  const canvas = document.querySelector('.chart canvas');
  const {data, width} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] === 255 && data[i + 1] === 154 && data[i + 2] === 31) {
      sum += i / 4 % width;
      count += 1;
    }
  }
  const [whole, plot] = [canvas, document.querySelector('.chart .u-over')].map((one) => one.getBoundingClientRect());
  return (whole.left + sum / count / width * whole.width - plot.left) / plot.width;
}"""
"""Where the chart marks the alarm's own reading, from 0 at its left edge to 1 at its right."""
CALM = [3.0 + n % 7 * 0.2 for n in range(200)]


@pytest_asyncio.fixture(name="desk", loop_scope="module")
async def fixture_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    with desk(tmp_path) as parts:
        yield parts


@pytest.fixture
def app(desk: Desk) -> FastAPI:
    return create_app(desk.ports)


@pytest_asyncio.fixture(loop_scope="module")
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serve(app, DashboardSettings(port=0)) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def centre(browser: Browser, url: str) -> AsyncIterator[Centre]:
    async with command_centre(browser, url) as page:
        await page.sign_in(ACCOUNT, PASSWORD)
        yield page
        assert page.errors == []
        assert page.foreign == []


async def picture(centre: Centre, name: str) -> None:
    if os.environ.get("GRIDWHISTLE_SCREENSHOTS"):
        await centre.page.screenshot(path=PICTURES / f"{name}.png")


async def until(centre: Centre, condition: str) -> None:
    """Wait, frame by frame, for a condition; the page's policy forbids Playwright's own way, which evaluates text."""
    async with asyncio.timeout(20):
        await centre.page.evaluate(
            f"async () => {{ while (!({condition})) await new Promise(requestAnimationFrame); }}"
        )


async def box(centre: Centre, selector: str) -> FloatRect:
    found = await centre.page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return found


def leak(desk: Desk) -> int:
    sensor = desk.sensor("ch4")
    desk.read(sensor, [*CALM, 9.0, 19.0, 31.2])
    return desk.alarm(sensor, 31.2).id


async def test_an_event_appears_live_and_one_click_in_one_page_changes_the_other(
    centre: Centre, browser: Browser, url: str, desk: Desk
) -> None:
    async with AsyncExitStack() as stack:
        colleague = await stack.enter_async_context(command_centre(browser, url))
        await colleague.sign_in(ACCOUNT, PASSWORD)
        assert await centre.page.locator(".item").count() == 0
        event_id = leak(desk)
        for page in (centre, colleague):
            assert await page.wait_for_event() == event_id
        await colleague.open_event(event_id)
        assert await colleague.page.locator(".actions button.main").count() == 1
        await centre.acknowledge(event_id)
        await colleague.wait_for_accepted(event_id)
        await colleague.page.wait_for_selector(f'.detail .done:has-text("{ACCOUNT}")')
        assert await colleague.page.locator(".actions button.main").count() == 0
        assert colleague.errors == []
    kept = desk.ledger.event(event_id)
    assert kept is not None
    assert kept.acknowledged_by == ACCOUNT


async def test_the_details_tell_who_why_and_draw_the_readings(centre: Centre, desk: Desk) -> None:
    event_id = leak(desk)
    event = desk.ledger.event(event_id)
    assert event is not None
    await centre.wait_for_event(event_id)
    await centre.open_event(event_id)
    await centre.page.wait_for_selector(".chart canvas")
    drawn = centre.page.locator(".chart [role=img]")
    assert int(await drawn.get_attribute("data-points") or 0) > 100
    text = await centre.page.inner_text(".detail")
    for word in (event.line[0].name.zh, event.line[1].name.zh, event.place.zh, event.code, "31.2 %LEL", "低于 25 %LEL"):
        assert word in text
    for worker in desk.city.workers.values():
        assert worker.phone not in text
    marked = await centre.page.evaluate(
        """() => {
          const canvas = document.querySelector('.chart canvas');
          const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const counts = {ink: 0, severity: 0, band: 0};
          for (let i = 0; i < data.length; i += 4) {
            const [r, g, b] = data.slice(i, i + 3);
            if (Math.max(r, g, b) < 110 && data[i + 3] > 100) counts.ink += 1;
            if (r === 255 && g === 154 && b === 31) counts.severity += 1;
            if (r === 223 && g === 227 && b === 230) counts.band += 1;
          }
          return counts;
        }"""
    )
    assert marked["ink"] > 200
    assert marked["severity"] > 20
    assert marked["band"] > 2000


@pytest.mark.parametrize(
    ("offset_s", "words"), [(372.0, "设备时钟慢了 6 分钟"), (-7300.0, "设备时钟快了 2 小时"), (90.0, "")]
)
async def test_a_device_with_a_wrong_clock_is_told_beside_its_readings(
    centre: Centre, desk: Desk, offset_s: float, words: str
) -> None:
    desk.last.offset_s[desk.sensor("ch4").index] = offset_s
    event_id = leak(desk)
    await centre.wait_for_event(event_id)
    await centre.open_event(event_id)
    await centre.page.wait_for_selector(".chart canvas")
    text = await centre.page.inner_text(".chart")
    assert words in text
    assert ("设备时钟" in text) == bool(words)


async def test_an_alarm_that_is_over_is_shown_with_its_gravest_reading_and_charted_to_its_end(
    centre: Centre, desk: Desk
) -> None:
    sensor = desk.sensor("ch4")
    asked: list[str] = []
    centre.page.on("request", lambda request: asked.append(request.url) if "/readings?" in request.url else None)
    desk.read(sensor, [*CALM, 9.0, 19.0, 31.2])
    began_us = desk.clock.now_us()
    event_id = desk.alarm(sensor, 31.2).id
    desk.advance(3600)
    desk.read(sensor, [31.2 - n * 0.5 for n in range(60)])
    desk.alarm(sensor, 1.7, phase=Phase.CLEARED)
    over_us = desk.clock.now_us()
    desk.advance(7200)
    await centre.wait_for_event(event_id)
    await centre.open_event(event_id)
    await centre.page.wait_for_selector(".chart canvas")
    why = await centre.page.inner_text(".detail .why")
    assert "31.2 %LEL" in why
    assert "1.7" not in why
    assert "10:00:00" in why
    span = parse_qs(urlsplit(asked[-1]).query)
    start_us, end_us = (from_datetime(datetime.fromisoformat(span[name][0])) for name in ("from", "to"))
    assert start_us <= began_us - 20 * 60 * US_PER_SECOND
    assert over_us < end_us < over_us + 3600 * US_PER_SECOND
    first_us = desk.store.series(sensor.index, start_us, end_us).event_us[0]
    assert await centre.page.evaluate(MARKED_AT) == pytest.approx((began_us - first_us) / (end_us - first_us), abs=0.02)


async def test_the_map_is_coloured_where_something_is_wrong_and_grey_elsewhere(centre: Centre, desk: Desk) -> None:
    await centre.page.wait_for_selector(".map canvas")
    assert await centre.page.evaluate(COLOURED) == 0
    event = desk.alarm(desk.sensor("ch4"), 60, Severity.EXTREME)
    await until(centre, f"({COLOURED})() > 40")
    desk.ports.commands.close(event.id, actor=ACCOUNT, now_us=desk.clock.now_us())
    await until(centre, f"({COLOURED})() === 0")


async def test_the_language_changes_without_reload_and_is_kept(centre: Centre, desk: Desk) -> None:
    event_id = leak(desk)
    await centre.wait_for_event(event_id)
    await centre.open_event(event_id)
    assert "燃气泄漏" in await centre.page.inner_text(".detail h2")
    await centre.page.click("button:text-is('English')")
    await centre.page.wait_for_selector(".detail h2:has-text('Gas leak')")
    assert await centre.page.title() == "City grid command centre"
    shown = await centre.page.inner_text("body")
    names = {desk.city.name.en}
    assert not re.search("[\u4e00-\u9fff]", shown.replace("中文", "")), names
    await centre.page.reload()
    await centre.page.wait_for_selector(".item .what:has-text('Gas leak')")


async def test_notes_assignment_and_closing_work_by_keyboard_alone(centre: Centre, desk: Desk) -> None:
    event_id = leak(desk)
    await centre.wait_for_event(event_id)
    page = centre.page
    await page.focus(f'.item[data-event="{event_id}"]')
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".detail h2:focus")
    await page.focus(".actions .buttons button:nth-child(2)")
    await page.keyboard.press("Enter")
    await page.keyboard.type("valve shut")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".trail q:has-text('valve shut')")
    await page.focus(".actions .buttons button:nth-child(1)")
    await page.keyboard.press("Enter")
    event = desk.ledger.event(event_id)
    assert event is not None
    other = event.line[1].worker
    await page.wait_for_selector(f'.act-form option[value="{other}"]', state="attached")
    await page.select_option(".act-form select", other)
    await page.focus(".act-form .buttons button")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(f".facts dd strong:has-text('{event.line[1].name.zh}')")
    await page.focus(".actions .buttons button:nth-child(3)")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(f'.item[data-event="{event_id}"]', state="detached")
    await page.focus(".detail .back")
    await page.keyboard.press("Escape")
    await page.wait_for_selector(".detail", state="detached")


async def test_fault_tickets_have_their_own_tab(centre: Centre, desk: Desk) -> None:
    ticket = desk.fault(desk.sensor("temperature"))
    await centre.page.wait_for_selector("#tab-faults b:text-is('1')")
    assert await centre.page.locator(".item").count() == 0
    assert await centre.wait_for_fault() == ticket.id
    await centre.page.click(".item")
    await centre.page.click(".actions button.main")
    await centre.page.wait_for_selector(f'.item[data-fault="{ticket.id}"]:not(.waiting)')


async def test_sensors_show_only_when_one_looks_closely(centre: Centre, desk: Desk) -> None:
    asked: list[str] = []
    centre.page.on("request", lambda request: asked.append(request.url) if "/sensors?" in request.url else None)
    await centre.page.wait_for_selector(".legend")
    assert asked == []
    for _ in range(3):
        await centre.page.click(".map-tools button:first-child")
    await centre.page.wait_for_selector(".legend .dot")
    words = await centre.page.inner_text(".legend p")
    shown = int(re.findall(r"\d+", words)[0])
    assert 0 < shown < len(desk.city.sensors)


async def test_every_control_has_a_name(centre: Centre, desk: Desk) -> None:
    event_id = leak(desk)
    await centre.wait_for_event(event_id)
    await centre.open_event(event_id)
    nameless = await centre.page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, textarea, [role=img], a')]
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.title || one.labels?.[0]))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    small = await centre.page.evaluate(
        """() => [...document.querySelectorAll('button, select')]
          .filter((one) => one.offsetHeight < 44).map((one) => one.outerHTML)"""
    )
    assert small == []


async def test_a_phone_shows_map_and_feed_and_then_the_details(browser: Browser, url: str, desk: Desk) -> None:
    async with command_centre(browser, url, viewport=PHONE) as phone:
        await phone.sign_in(ACCOUNT, PASSWORD)
        event_id = leak(desk)
        await phone.wait_for_event(event_id)
        assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await phone.open_event(event_id)
        assert not await phone.page.is_visible(".map")
        await phone.page.click(".actions button.main")
        await phone.page.wait_for_selector(".detail .done")
        assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert phone.errors == []


async def test_what_happens_while_the_lists_are_on_their_way_does_not_vanish(
    browser: Browser, url: str, desk: Desk
) -> None:
    known, ended = leak(desk), desk.alarm(desk.sensor("noise"), 90.0).id
    ticket = desk.fault(desk.sensor("temperature")).id
    answered, let = asyncio.Semaphore(0), asyncio.Event()

    async def slowly(route: Route) -> None:
        answer = await route.fetch()
        answered.release()
        await let.wait()
        await route.fulfill(response=answer)

    async with command_centre(browser, url) as centre:
        await centre.page.route(re.compile(r"/api/v1/(events|faults)\?"), slowly)
        await centre.sign_in(ACCOUNT, PASSWORD)
        async with asyncio.timeout(20):
            for _ in ("events", "faults"):
                await answered.acquire()
        desk.ports.commands.close(ended, actor=ACCOUNT, now_us=desk.clock.now_us())
        desk.ports.commands.acknowledge_ticket(ticket, actor=ACCOUNT, now_us=desk.clock.now_us())
        new = desk.alarm(desk.sensor("water_level"), 1.4).id
        await centre.wait_for_event(new)  # the feed keeps its order: the page has heard of the others too
        let.set()
        await centre.wait_for_event(known)
        shown = await centre.page.eval_on_selector_all(".item", "items => items.map((item) => item.dataset.event)")
        assert {int(number) for number in shown} == {known, new}
        await centre.wait_for_fault(ticket)
        assert await centre.page.locator(".item.fault.waiting").count() == 0
        assert centre.errors == []


async def test_the_page_says_how_far_behind_it_is_and_catches_up(app: FastAPI, browser: Browser, desk: Desk) -> None:
    async with AsyncExitStack() as stack:
        async with serve(app, DashboardSettings(port=0)) as url:
            centre = await stack.enter_async_context(command_centre(browser, url))
            await centre.sign_in(ACCOUNT, PASSWORD)
        await centre.page.wait_for_selector(".connection.behind")
        event_id = leak(desk)
        async with serve(app, DashboardSettings(port=int(url.rpartition(":")[2]))):
            await centre.page.wait_for_selector(".connection.live")
            await centre.wait_for_event(event_id)


async def test_a_session_that_ends_leads_back_to_signing_in(browser: Browser, url: str, desk: Desk) -> None:
    async with command_centre(browser, url) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        desk.session_clock.advance(desk.session_clock.now_us() + 12 * 3600 * 1_000_000)
        leak(desk)
        await centre.page.wait_for_selector(".sign-in .wrong:not(:empty)")
        assert await centre.page.locator(".item").count() == 0


async def test_a_wrong_password_is_said_in_words(browser: Browser, url: str) -> None:
    async with command_centre(browser, url) as centre:
        await centre.page.goto(url)
        await centre.page.fill("input[name=name]", ACCOUNT)
        await centre.page.fill("input[name=password]", "not it, not at all")
        await centre.page.click("form button.main")
        await centre.page.wait_for_selector(".wrong:has-text('密码不对')")


async def test_a_full_desk_shows_the_worst_first_and_who_why_and_the_curve_at_one_glance(
    browser: Browser, url: str, desk: Desk
) -> None:
    event = morning(desk)
    async with command_centre(browser, url, viewport=DESK) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        await centre.wait_for_event(event.id)
        order = await centre.page.eval_on_selector_all(
            ".item", "items => items.map((item) => item.className.match(/level-(.)/)[1])"
        )
        assert order == sorted(order) == ["1", "2", "2", "3", "3", "4"]
        await centre.open_event(event.id)
        for name, language, measured in (("zh", "English", "低于 50 %LEL"), ("en", "中文", "below 50 %LEL")):
            await centre.page.wait_for_selector(f".tools button:text-is('{language}')")
            await centre.page.wait_for_selector(".chart canvas")
            assert measured in await centre.page.inner_text(".measured")
            await until(centre, f"({COLOURED})() > 200")
            await picture(centre, f"command-centre-{name}")
            for shown in (".facts dd strong", ".reason", ".chart [role=img]"):
                place = await box(centre, shown)
                assert place["y"] + place["height"] <= DESK["height"], (name, shown)
            if name == "zh":
                await centre.page.click(f".tools button:text-is('{language}')")
        assert centre.errors == []


async def test_the_city_fills_the_map_and_nothing_lies_over_it(browser: Browser, url: str, desk: Desk) -> None:
    event = morning(desk)
    for viewport in (DESK, PHONE):
        async with command_centre(browser, url, viewport=viewport) as centre:
            await centre.sign_in(ACCOUNT, PASSWORD)
            await centre.wait_for_event(event.id)
            await centre.page.wait_for_selector(".map canvas")
            await until(centre, f"({COLOURED})() > 200")
            drawn = await centre.page.evaluate(DRAWN)
            place = await box(centre, ".map")
            assert max(drawn["width"] / place["width"], drawn["height"] / place["height"]) > 0.72
            for name in (".legend", ".map-tools"):
                other = await box(centre, name)
                beside = drawn["x"] + drawn["width"] <= other["x"] or drawn["y"] + drawn["height"] <= other["y"]
                assert beside, (name, viewport)
            if viewport is PHONE:
                await picture(centre, "command-centre-phone")


NOTICE_COLOUR = "getComputedStyle(document.querySelector('.notice.{}')).backgroundColor"


async def test_readings_that_are_behind_are_said_in_words_and_colour_until_they_are_not(
    browser: Browser, url: str, desk: Desk
) -> None:
    desk.health = Health(True, {"core": "ok", "store": "ok"}, {"readings_admitted": 7}, behind_s=38.2)
    async with command_centre(browser, url) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        await centre.page.wait_for_selector(".notice[data-notice=behind]")
        assert "数据落后 38 秒" in await centre.page.inner_text(".notices")
        assert await centre.page.evaluate(NOTICE_COLOUR.format("grave")) == "rgb(202, 162, 255)"
        assert "数据落后" in await centre.page.inner_text(".health > button")
        await centre.page.click("button:text-is('English')")
        await centre.page.wait_for_selector(".notice:has-text('Readings are 38 s behind')")
        desk.health = Health(True, {"core": "ok", "store": "ok"}, {"readings_admitted": 7}, behind_s=4.9)
        await centre.page.wait_for_selector(".notice", state="detached")
        assert "All parts work" in await centre.page.inner_text(".health > button")
        assert centre.errors == []


async def test_what_ails_the_system_is_said_in_plain_words_the_gravest_first(
    browser: Browser, url: str, desk: Desk
) -> None:
    ailing = {"store": "away: connection refused", "notify": "mqtt: not connected", "spool": "No space left on device"}
    desk.health = Health(False, {**ailing, "core": "ok", "page": "it was started again"}, {}, waiting=2_400_000)
    async with command_centre(browser, url) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        notices = centre.page.locator(".notice[data-notice]")
        await notices.first.wait_for()
        shown = [await notices.nth(at).get_attribute("data-notice") for at in range(await notices.count())]
        assert shown == ["spool", "notify", "store"]
        assert "还有 1 项" in await centre.page.inner_text(".notice.more")
        assert await centre.page.evaluate(NOTICE_COLOUR.format("mild")) == "rgb(234, 220, 255)"
        said = await centre.page.inner_text(".notices")
        assert "不再确认新读数" in said
        assert "No space left" not in said  # that is for maintenance, behind the button
        await centre.page.click(".health > button")
        card = await centre.page.inner_text(".health .card")
        for word in ("No space left on device", "2,400,000", "正常", "页面程序"):
            assert word in card
        assert centre.errors == []


async def test_a_store_that_catches_up_is_said_with_what_waits(browser: Browser, url: str, desk: Desk) -> None:
    desk.health = Health(True, {"store": "ok"}, {}, waiting=3_000_000)
    async with command_centre(browser, url) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        notice = await centre.page.wait_for_selector(".notice.mild[data-notice=catching-up]")
        assert notice is not None
        assert "3,000,000" in await notice.inner_text()


async def test_notices_leave_room_for_the_work_on_a_phone(browser: Browser, url: str, desk: Desk) -> None:
    ailing = dict.fromkeys(("broker", "spool", "store", "ledger", "notify"), "fails")
    desk.health = Health(False, ailing, {}, behind_s=400)
    async with command_centre(browser, url, viewport=PHONE) as phone:
        await phone.sign_in(ACCOUNT, PASSWORD)
        await phone.page.wait_for_selector(".notice")
        assert "6 分钟" in await phone.page.inner_text(".notices")
        assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert (await box(phone, ".notices"))["height"] < PHONE["height"] / 3
        assert (await box(phone, ".feed"))["height"] > 150


async def test_a_picture_of_a_night_with_trouble(browser: Browser, url: str, desk: Desk) -> None:
    morning(desk)
    desk.health = Health(
        False,
        {"core": "ok", "broker": "ok", "spool": "ok", "store": "http://influx:8086: connection refused", "ledger": "ok"}
        | {"notify": "ok", "dead_letter": "ok", "memory": "ok", "page": "ok"},
        {"readings": 118_204_311, "refused": 1204, "store_retries": 42},
        behind_s=12.4,
        waiting=21_604_114,
    )
    async with command_centre(browser, url, viewport=DESK) as centre:
        await centre.sign_in(ACCOUNT, PASSWORD)
        await centre.page.wait_for_selector(".notice[data-notice=store]")
        await centre.page.click(".health > button")
        await centre.page.wait_for_selector(".health .card")
        await picture(centre, "command-centre-trouble")
        card, notices = await box(centre, ".health .card"), await box(centre, ".notices")
        assert card["x"] + card["width"] <= DESK["width"]
        assert notices["height"] < 110
