"""The dashboard as an ASGI application."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from dashboard_api import problems
from dashboard_api.bodies import BodyLimit
from dashboard_api.charts import SeriesDoor
from dashboard_api.headers import SecurityHeaders
from dashboard_api.live import LiveFeed
from dashboard_api.ports import Ports
from dashboard_api.routes import alarms, events, faults, grids, health, live, people, sensors, session, texts

STATIC = Path(__file__).parent / "static"
API = "/api/v1"
API_VERSION = "1.0.0"

_TAGS = [
    {"name": "events", "description": "Grid events and what people do with them"},
    {"name": "alarms", "description": "The state of one condition on one sensor"},
    {"name": "faults", "description": "Sensors that must be mended"},
    {"name": "sensors", "description": "Sensors and their readings"},
    {"name": "grids", "description": "The grid tree on the map"},
    {"name": "people", "description": "People whom an event can be given to"},
    {"name": "live", "description": "Everything as it happens"},
    {"name": "session", "description": "Signing in and out"},
    {"name": "health", "description": "How the daemon does"},
    {"name": "texts", "description": "The words of the screens"},
]


def create_app(ports: Ports) -> FastAPI:
    """The dashboard, plugged into the rooms below it. Has no side effects; ``dashboard_api.server`` runs it.

    app.state: ports, and what is worked out once of the city (places, drawing); live is the LiveFeed,
    series the SeriesDoor.
    """
    app = FastAPI(
        title="gridwhistle",
        version=API_VERSION,
        summary="Grid events of a city, as they happen",
        openapi_tags=_TAGS,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.ports = ports
    app.state.live = LiveFeed(ports)
    app.state.series = SeriesDoor()
    app.state.places = sensors.Places(ports.city)
    app.state.drawing = grids.Drawing(ports)
    problems.install(app)
    api = APIRouter(prefix=API)
    for room in (events, alarms, faults, sensors, grids, people, live, session, health, texts):
        api.include_router(room.router)
    app.include_router(api)
    app.include_router(health.open_router)
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)  # 9: 2 % less of a map, five times the CPU
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.openapi = _described(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
    return app


async def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")


def _described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = problems.describe(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    routes=app.routes,
                    tags=app.openapi_tags,
                )
            )
        return app.openapi_schema

    return schema
