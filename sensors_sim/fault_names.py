"""What people call the ways to be broken."""

from config.texts import table
from config.vocabulary import Language


def fault_name(kind: str, language: Language) -> str:
    """The name of a FaultKind: that of the condition where there is one of the same name. Raises KeyError."""
    texts = table(language)
    return texts.get(f"condition.{kind}") or texts[f"score.fault.{kind}"]
