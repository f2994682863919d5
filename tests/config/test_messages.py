import re
from collections.abc import Iterable
from enum import Enum, IntEnum
from pathlib import Path
from string import Formatter

import pytest

import config
from alerting.model import Action, AlarmState, EventState, Subject, TicketState
from config.quantities import QUANTITIES
from config.texts import table
from config.vocabulary import Category, GridLevel, Kind, Language, Role, Severity
from detectors.model import Condition, Nature
from ingest.model import Quality, RefusalReason

WORDS: dict[str, Iterable[object]] = {
    "kind": Kind,
    "quantity": QUANTITIES,
    "severity": Severity,
    "level": GridLevel,
    "role": Role,
    "category": Category,
    "state": [*AlarmState, *EventState, *TicketState],
    "nature": Nature,
    "condition": Condition,
    "quality": Quality,
    "refusal": RefusalReason,
    "action": Action,
    "subject": Subject,
}


def name_of(member: object) -> str:
    if isinstance(member, IntEnum):
        return member.name.lower()
    return str(member.value if isinstance(member, Enum) else member)


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("section", WORDS)
def test_every_name_has_its_word_and_every_word_a_name(section: str, language: Language) -> None:
    words = {key.removeprefix(f"{section}.") for key in table(language) if key.startswith(f"{section}.")}
    assert words == {name_of(member) for member in WORDS[section]}


def test_both_languages_hold_the_same_keys_in_all_rooms() -> None:
    assert table(Language.ZH).keys() == table(Language.EN).keys()


def test_both_languages_fill_in_the_same_placeholders() -> None:
    zh, en = table(Language.ZH), table(Language.EN)
    differing = {key for key in zh.keys() & en.keys() if placeholders(zh[key]) != placeholders(en[key])}
    assert differing == set()


def test_no_text_is_empty_and_chinese_is_written_in_chinese() -> None:
    zh, en = table(Language.ZH), table(Language.EN)
    assert [key for key in zh if not zh[key].strip()] == []
    assert [key for key in en if not en[key].strip()] == []
    sentences = [key for key, text in en.items() if len(text.split()) > 3]
    assert [key for key in sentences if not any("一" <= letter <= "鿿" for letter in zh.get(key, "一"))] == []


def test_every_mistake_that_can_be_told_has_its_texts_and_every_text_its_mistake() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in Path(config.__file__).parent.glob("*.py"))
    told = set(re.findall(r"""(?:error|warning|unreadable)\(\s*"(\w+)\"""", sources))
    codes = {key.split(".")[2] for key in table(Language.EN) if key.startswith("check.problem.")}
    assert told - codes == set()
    assert {code for code in codes if f'"{code}"' not in sources} == set()
    for code in codes:
        assert {f"check.problem.{code}.what", f"check.problem.{code}.expected"} <= table(Language.EN).keys()


def test_a_word_stands_in_words_yaml_alone() -> None:
    zh, en = table(Language.ZH), table(Language.EN)
    words = {(zh[key], en[key].casefold()): key for key in zh if key.split(".")[0] in WORDS}
    others = [key for key in zh if key.split(".")[0] not in WORDS]
    assert {key: words[pair] for key in others if (pair := (zh[key], en[key].casefold())) in words} == {}


@pytest.mark.parametrize("section", WORDS)
def test_no_other_file_names_the_members_of_a_set_again(section: str) -> None:
    """Two plain texts side by side under two members' names are a copy; sentences with something to fill in are not.

    The reasons say why a condition began or ended, which is another question than what state it is in.
    """
    members = {name_of(member) for member in WORDS[section]}
    families: dict[str, set[str]] = {}
    for key, text in table(Language.EN).items():
        family, _, last = key.rpartition(".")
        if family.split(".")[0] not in {*WORDS, "reason", "reason_of"} and last in members and not placeholders(text):
            families.setdefault(family, set()).add(last)
    assert {family: names for family, names in families.items() if len(names) > 1} == {}
