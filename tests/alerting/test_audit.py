from dataclasses import replace

from alerting import audit
from alerting.accounts import Accounts
from alerting.commands import Commands
from alerting.ledger import Ledger
from alerting.model import Action, Subject, TrailEntry
from alerting.pipeline import Pipeline
from config.vocabulary import Severity
from detectors.model import Condition, Nature, Phase
from tests.alerting.support import HOUR_US, NOON_US, SECOND_US, cleared, verdict


def live_through_everything(ledger: Ledger, pipeline: Pipeline, commands: Commands) -> None:
    fault = verdict(0, condition=Condition.STUCK, nature=Nature.FAULT, severity=Severity.GENERAL)
    later_us = NOON_US + SECOND_US
    accounts = Accounts(ledger, session_hours=1)
    accounts.create("sample", "correct horse", actor="admin", now_us=NOON_US)
    accounts.set_password("sample", "another horse", actor="admin", now_us=NOON_US)
    accounts.sign_in("sample", "another horse", now_us=NOON_US)
    accounts.sign_in("sample", "wrong", now_us=NOON_US)
    pipeline.handle([verdict(0), fault, replace(fault, sensor=1)], NOON_US)
    worse = replace(verdict(0), phase=Phase.CHANGED, severity=Severity.EXTREME, at_us=later_us)
    pipeline.handle([worse], later_us)
    commands.acknowledge(1, actor="sample", now_us=later_us)
    commands.assign(1, "leader-1", actor="sample", now_us=later_us)
    commands.note(1, "valve closed", actor="sample", now_us=later_us)
    commands.acknowledge_ticket(1, actor="sample", now_us=later_us)
    commands.note_ticket(1, "ordered", actor="sample", now_us=later_us)
    pipeline.handle([cleared(one, later_us) for one in (verdict(0), fault, replace(fault, sensor=1))], later_us)
    commands.close(1, actor="sample", now_us=later_us)
    commands.close_ticket(1, actor="sample", now_us=later_us)
    pipeline.handle([], later_us + HOUR_US)


def test_every_entry_reads_as_a_sentence_in_both_languages(
    ledger: Ledger, pipeline: Pipeline, commands: Commands
) -> None:
    live_through_everything(ledger, pipeline, commands)
    sentences = [(entry, audit.describe(entry)) for entry in ledger.trail()]
    told = {Action.NOTIFIED, Action.NOTIFY_FAILED}  # the outbox writes these: see test_outbox
    assert {entry.action for entry, _ in sentences} == set(Action) - told
    for entry, text in sentences:
        for one in (text.zh, text.en):
            assert one, entry
            assert not set("{}<>") & set(one), entry
            assert "None" not in one, entry
            assert "LocalText" not in one, entry
    assert audit.check(ledger).whole


def test_the_story_of_an_event(ledger: Ledger, pipeline: Pipeline, commands: Commands) -> None:
    live_through_everything(ledger, pipeline, commands)
    assert [audit.describe(entry).en for entry in ledger.trail(event_id=1)] == [
        "s0-ch4: Methane: Too high, reading 30 %LEL",
        "Event GW-20260131-0001 opened and dispatched to Worker-1",
        "s0-ch4: Methane: Too high, from Major (Grid event) to Extreme (Grid event)",
        "Event GW-20260131-0001 changed, severity Extreme",
        "sample accepted GW-20260131-0001",
        "sample assigned GW-20260131-0001, from Worker-1 to Leader-1",
        "sample: valve closed",
        "s0-ch4: Methane is back to normal, reading 3 %LEL",
        "Every alarm of GW-20260131-0001 has cleared; a person has to close it",
        "sample closed GW-20260131-0001",
    ]
    assert audit.describe(ledger.trail()[-1]).en == (
        "Fault ticket FT-20260131-0002 closed by itself: its sensor has been well for one hour"
    )


def test_what_the_outbox_writes_reads_as_a_sentence_too() -> None:
    detail = {"worker": "w1", "name": {"zh": "甲", "en": "A"}, "channel": "mqtt", "error": None}
    told = TrailEntry(1, 0, "system", Action.NOTIFIED, Subject.EVENT, 1, detail)
    assert audit.describe(told).zh == "已通知甲（mqtt）"
    failed = replace(told, action=Action.NOTIFY_FAILED, detail={**detail, "name": None, "error": "no route"})
    assert audit.describe(failed).en == "w1 could not be told by mqtt: no route"
