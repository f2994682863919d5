"""The texts of the screens."""

from http import HTTPStatus

from fastapi import APIRouter

from config import texts
from config.vocabulary import Language
from dashboard_api.auth import PortsDep
from dashboard_api.problems import responses
from dashboard_api.schemas.world import Texts

router = APIRouter(prefix="/texts", tags=["texts"])

PAGE_SECTIONS = (
    "action.",
    "category.",
    "condition.",
    "kind.",
    "level.",
    "nature.",
    "quantity.",
    "role.",
    "severity.",
    "state.",
    "ui.",
)
"""What the page shows; pushes are written by the daemon itself."""


@router.get("/{language}", operation_id="getTexts", responses=responses(HTTPStatus.UNPROCESSABLE_ENTITY))
async def get_texts(ports: PortsDep, language: Language) -> Texts:
    """What the page needs to speak a language; without signing in, because signing in has words too."""
    table = texts.table(language)
    shown = {key: text for key, text in table.items() if key.startswith(PAGE_SECTIONS)}
    return Texts(language=language, first_language=ports.language, texts=shown)
