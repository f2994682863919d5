import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alerting import audit
from alerting.accounts import (
    FORGOTTEN_AFTER_US,
    FREE_FAILURES,
    HASHES_AT_ONCE,
    LONGEST_WAIT_US,
    STRANGERS_AT_ONCE,
    STRANGERS_PER_S,
    SUMMARY_EVERY_US,
    Accounts,
    Throttle,
)
from alerting.ledger import Ledger
from alerting.model import Action
from config.errors import PermanentError
from tests.alerting.support import HOUR_US, NOON_US, SECOND_US


@pytest.fixture
def accounts(ledger: Ledger) -> Accounts:
    made = Accounts(ledger, session_hours=12)
    made.create("sample", "correct horse", actor="system", now_us=NOON_US)
    return made


def test_the_first_account_is_made_once_with_a_password_nobody_could_guess(ledger: Ledger) -> None:
    accounts = Accounts(ledger, session_hours=12)
    password = accounts.ensure_first_account(NOON_US)
    assert password is not None
    assert len(password) >= 16
    assert accounts.ensure_first_account(NOON_US) is None
    token = accounts.sign_in("admin", password, now_us=NOON_US)
    assert token is not None
    assert accounts.account_of(token, now_us=NOON_US) == "admin"


def test_a_session_lasts_its_hours_and_ends_when_signed_out(accounts: Accounts) -> None:
    first = accounts.sign_in("sample", "correct horse", now_us=NOON_US)
    second = accounts.sign_in("sample", "correct horse", now_us=NOON_US)
    assert first is not None
    assert second is not None
    assert first != second
    assert accounts.account_of(first, now_us=NOON_US + 12 * HOUR_US - 1) == "sample"
    assert accounts.account_of(first, now_us=NOON_US + 12 * HOUR_US) is None
    accounts.sign_out(first)
    assert accounts.account_of(first, now_us=NOON_US) is None
    assert accounts.account_of(second, now_us=NOON_US) == "sample"
    assert accounts.account_of("no token", now_us=NOON_US) is None


def test_neither_password_nor_token_stands_in_the_database(accounts: Accounts, ledger: Ledger, tmp_path: Path) -> None:
    token = accounts.sign_in("sample", "correct horse", now_us=NOON_US)
    assert token is not None
    ledger.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.sqlite*"))
    assert b"correct horse" not in kept
    assert token.encode() not in kept
    assert hashlib.sha256(token.encode()).hexdigest().encode() in kept
    assert re.search(rb"\$argon2id\$v=19\$m=19456,t=2,p=1\$", kept)


def test_sign_in_and_refusal_stand_in_the_trail_but_never_an_unknown_name(accounts: Accounts, ledger: Ledger) -> None:
    accounts.sign_in("sample", "correct horse", now_us=NOON_US)
    accounts.sign_in("sample", "wrong", now_us=NOON_US)
    accounts.sign_in("my secret password", "", now_us=NOON_US)
    made, signed_in, wrong, unknown = ledger.trail()
    assert [one.action for one in (made, signed_in, wrong, unknown)] == [
        Action.ACCOUNT_CREATED,
        Action.SIGNED_IN,
        Action.SIGN_IN_REFUSED,
        Action.SIGN_IN_REFUSED,
    ]
    assert (signed_in.actor, wrong.actor) == ("sample", "system")
    assert (wrong.detail["name"], unknown.detail["name"]) == ("sample", None)


def test_after_five_failures_even_the_right_password_must_wait(accounts: Accounts, ledger: Ledger) -> None:
    for _ in range(FREE_FAILURES):
        assert accounts.sign_in("sample", "wrong", now_us=NOON_US) is None
    entries = ledger.last_trail_id()
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US + SECOND_US - 1) is None
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US + SECOND_US - 1) is None
    assert [entry.detail["why"] for entry in ledger.trail(after=entries)] == ["throttled"]
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US + SECOND_US) is not None
    assert accounts.sign_in("sample", "wrong", now_us=NOON_US + SECOND_US) is None
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US + SECOND_US) is not None


def test_the_wait_doubles_up_to_its_longest() -> None:
    throttle, waits = Throttle(), []
    for failure in range(1, 40):
        throttle.failed("x", 0)
        waits.append(
            next(
                us
                for us in (0, *(SECOND_US << n for n in range(4)), LONGEST_WAIT_US)
                if not throttle.must_wait("x", us)
            )
        )
        assert failure == len(waits)
    assert waits[:8] == [0, 0, 0, 0, SECOND_US, 2 * SECOND_US, 4 * SECOND_US, 8 * SECOND_US]
    assert waits[-1] == LONGEST_WAIT_US


def test_failures_long_ago_are_forgotten() -> None:
    throttle = Throttle()
    for _ in range(FREE_FAILURES + 20):
        throttle.failed("x", NOON_US)
    later_us = NOON_US + FORGOTTEN_AFTER_US + 1
    throttle.failed("x", later_us)
    assert not throttle.must_wait("x", later_us)


def test_a_name_under_siege_is_open_again_after_seconds_and_to_other_addresses_at_once(accounts: Accounts) -> None:
    now_us = NOON_US
    for _ in range(12):
        accounts.sign_in("sample", "wrong", now_us=now_us, source="stranger")
        now_us += LONGEST_WAIT_US
    assert accounts.sign_in("sample", "correct horse", now_us=now_us - 1, source="stranger") is None
    assert accounts.sign_in("sample", "correct horse", now_us=now_us - 1, source="owner") is not None
    assert accounts.sign_in("sample", "correct horse", now_us=now_us, source="stranger") is not None


def test_a_flood_of_unknown_names_costs_few_hashes_and_few_lines_and_keeps_nobody_out(
    accounts: Accounts, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def fits(hashed: str, password: str) -> bool:
        checked.append(hashed)
        return password == "right"

    monkeypatch.setattr(accounts, "_fits", fits)
    entries = ledger.last_trail_id()
    for number in range(1000):
        assert accounts.sign_in(f"x{number}", "p", now_us=NOON_US + number * SECOND_US // 1000) is None
    assert len(checked) == STRANGERS_AT_ONCE + STRANGERS_PER_S - 1
    assert accounts.sign_in("sample", "right", now_us=NOON_US + SECOND_US) is not None
    assert accounts.sign_in("sample", "right", now_us=NOON_US + SUMMARY_EVERY_US) is not None
    first, signed_in, rest, _ = ledger.trail(after=entries)
    assert (first.detail["count"], rest.detail["count"]) == (1, 999)
    assert signed_in.action is Action.SIGNED_IN
    assert audit.describe(rest).en == "999 sign-ins with names that are no account's were refused"


def test_no_more_than_two_passwords_are_checked_at_once(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(HASHES_AT_ONCE)

    class Slow:
        def verify(self, *_: str) -> bool:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            both.wait(timeout=20)  # passes only while two are inside
            with lock:
                inside -= 1
            return True

    monkeypatch.setattr(accounts, "_hasher", Slow())
    with ThreadPoolExecutor(6) as pool:
        tokens = list(pool.map(lambda _: accounts.sign_in("sample", "x", now_us=NOON_US), range(6)))
    assert most == HASHES_AT_ONCE
    assert None not in tokens


def test_who_waits_too_long_for_the_check_is_refused_and_not_counted_as_wrong(
    accounts: Accounts, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerting.accounts.HASH_PATIENCE_S", 0.01)
    for _ in range(HASHES_AT_ONCE):
        accounts._hashing.acquire()
    for _ in range(FREE_FAILURES + 1):
        assert accounts.sign_in("sample", "correct horse", now_us=NOON_US) is None
    assert ledger.trail()[-1].detail["why"] == "busy"
    for _ in range(HASHES_AT_ONCE):
        accounts._hashing.release()
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US) is not None


def test_an_unknown_name_waits_like_a_known_one() -> None:
    throttle = Throttle()
    for name in ("known", "unknown"):
        for _ in range(FREE_FAILURES):
            throttle.failed(name, NOON_US)
    assert throttle.must_wait("unknown", NOON_US) == throttle.must_wait("known", NOON_US) is True


def test_an_unknown_name_costs_a_password_check_too(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    fits = accounts._fits

    def watched(hashed: str, password: str) -> bool | None:
        checked.append(hashed)
        return fits(hashed, password)

    monkeypatch.setattr(accounts, "_fits", watched)
    accounts.sign_in("sample", "wrong", now_us=NOON_US)
    accounts.sign_in("nobody", "wrong", now_us=NOON_US)
    known, unknown = (hashed.split("$")[1:4] for hashed in checked)
    assert known == unknown == ["argon2id", "v=19", "m=19456,t=2,p=1"]


def test_a_new_password_ends_the_old_sessions(accounts: Accounts) -> None:
    token = accounts.sign_in("sample", "correct horse", now_us=NOON_US)
    assert token is not None
    accounts.set_password("sample", "another horse", actor="admin", now_us=NOON_US)
    assert accounts.account_of(token, now_us=NOON_US) is None
    assert accounts.sign_in("sample", "correct horse", now_us=NOON_US) is None
    assert accounts.sign_in("sample", "another horse", now_us=NOON_US) is not None


@pytest.mark.parametrize(("name", "password"), [("sample", "long enough"), ("new", "short"), ("  ", "long enough")])
def test_an_account_that_cannot_be_made_says_why(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(PermanentError):
        accounts.create(name, password, actor="admin", now_us=NOON_US)


def test_no_password_can_be_set_for_nobody(accounts: Accounts) -> None:
    with pytest.raises(PermanentError, match="no account"):
        accounts.set_password("nobody", "long enough", actor="admin", now_us=NOON_US)
