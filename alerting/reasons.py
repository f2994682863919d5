"""Why an alarm began, changed or ended, in plain words: the one place where a Reason becomes a sentence."""

import structlog

from config.texts import number, table, text
from config.vocabulary import Language, LocalText
from detectors.model import Reason

_log = structlog.get_logger(__name__)


def reason_text(reason: Reason, quantity: str = "") -> LocalText:
    """The sentence of a reason in both languages, its numbers with four significant figures.

    quantity: of the sensor, empty where it is not known. Some have words of their own, ``reason_of.<quantity>.<rest of
    the key>``: a button is pressed, not high. A text that is missing or does not fit shows as the reason's key, and is
    logged: people are called even where the words fail.
    """
    own = f"reason_of.{quantity}.{reason.key.removeprefix('reason.')}"
    params = {name: number(value) if isinstance(value, float) else value for name, value in reason.params.items()}
    shown: dict[Language, str] = {}
    for language in Language:
        try:
            shown[language] = text(own if own in table(language) else reason.key, language, params)
        except (KeyError, ValueError, IndexError) as error:
            _log.error("no text for a reason", key=reason.key, params=params, language=language.value, why=repr(error))
            shown[language] = reason.key
    return LocalText(zh=shown[Language.ZH], en=shown[Language.EN])
