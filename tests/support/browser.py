"""Drives the command centre's page in a real Chromium, as a person on duty would."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000
CONTROL_ROOM = {"width": 1366, "height": 768}
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser process. Raises RuntimeError where Chromium is not installed."""
    if shutil.which(CHROMIUM) is None:
        raise RuntimeError(f"{CHROMIUM} is not installed: run scripts/test, which installs what the tests need")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Centre:
    """One open page of the command centre, with everything that a person would call wrong noted down.

    errors: what the console complained about. foreign: addresses asked for that are not the dashboard's own.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _see(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.foreign.append(request.url)

    def watch(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._see)

    async def sign_in(self, name: str, password: str) -> None:
        """Sign in and wait until the page is live and has read what there is."""
        await self.page.goto(self.url)
        await self.page.fill("input[name=name]", name)
        await self.page.fill("input[name=password]", password)
        await self.page.click("form button.main")
        await self.page.wait_for_selector(".connection.live")
        await self.page.wait_for_selector(".health")

    async def wait_for_event(self, event_id: int | None = None) -> int:
        """Wait until the feed shows a grid event (any, where no id is given); answers its id."""
        selector = ".item[data-event]" if event_id is None else f'.item[data-event="{event_id}"]'
        item = await self.page.wait_for_selector(selector)
        assert item is not None
        return int(await item.get_attribute("data-event") or 0)

    async def open_event(self, event_id: int) -> None:
        """Choose an event in the feed and wait for its details."""
        await self.page.click(f'.item[data-event="{event_id}"]')
        await self.page.wait_for_selector(".detail h2")

    async def acknowledge(self, event_id: int) -> None:
        """Open an event and accept it, with one click; returns when the page shows it as accepted."""
        await self.open_event(event_id)
        await self.page.click(".actions button.main")
        await self.wait_for_accepted(event_id)

    async def wait_for_accepted(self, event_id: int) -> None:
        """Wait until the feed shows an event as accepted."""
        await self.page.wait_for_selector(f'.item[data-event="{event_id}"]:not(.waiting)')

    async def wait_for_fault(self, ticket_id: int | None = None) -> int:
        """Turn to the faulty devices and wait for a ticket (any, where no id is given); answers its id."""
        await self.page.click("#tab-faults")
        selector = ".item[data-fault]" if ticket_id is None else f'.item[data-fault="{ticket_id}"]'
        item = await self.page.wait_for_selector(selector)
        assert item is not None
        return int(await item.get_attribute("data-fault") or 0)


@asynccontextmanager
async def command_centre(
    browser: Browser, url: str, *, viewport: dict[str, int] | None = None
) -> AsyncIterator[Centre]:
    """A page of its own (own cookies); not signed in yet. url: what ``dashboard_api.server.serve`` yields."""
    width, height = (viewport or CONTROL_ROOM).values()
    context = await browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    try:
        centre = Centre(await context.new_page(), url)
        centre.watch()
        yield centre
    finally:
        await context.close()
