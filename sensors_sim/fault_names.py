"""What people call the ways to be broken, and what stills many sensors at once."""

from config.texts import table
from config.vocabulary import Language


def fault_name(kind: str, language: Language) -> str:
    """The name of a FaultKind: that of the condition where there is one of the same name. Raises KeyError."""
    texts = table(language)
    return texts.get(f"condition.{kind}") or texts[f"score.fault.{kind}"]


def silence_name(kind: str, language: Language) -> str:
    """The name of a Silence's kind; the kind itself where a truth of elsewhere tells one that nobody here stages."""
    return table(language).get(f"score.silence.of_{kind}", kind)
