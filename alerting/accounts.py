"""Local sign-in: Argon2id hashes, sessions by random tokens of which only the digest is kept, throttled by name."""

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import delete, func, select

from alerting import tables
from alerting.ledger import Ledger
from alerting.model import Action, Subject
from alerting.rows import Row
from alerting.transaction import Transaction
from alerting.work import SYSTEM
from config.errors import PermanentError

FIRST_ACCOUNT = "admin"
SHORTEST_PASSWORD = 10
FREE_FAILURES = 5
"""Failures of one name before it has to wait."""

FIRST_WAIT_US = 1_000_000
LONGEST_WAIT_US = 300 * 1_000_000
_NAMES_KNOWN = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    wait_until_us: int = 0
    wait_in_trail: bool = False


class Throttle:
    """How long a name has to wait after failures: 1 s after the fifth, doubling to 5 min.

    Names of accounts and other names alike. Kept in memory for the names that failed last. Thread-safe.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def must_wait(self, name: str, now_us: int) -> bool:
        """Whether the name may not try now."""
        with self._lock:
            known = self._failures.get(name)
            return known is not None and now_us < known.wait_until_us

    def first_refusal(self, name: str) -> bool:
        """Whether this is the first refusal of the present wait: one line in the trail is enough for it."""
        with self._lock:
            known = self._failures.get(name)
            if known is None or known.wait_in_trail:
                return False
            known.wait_in_trail = True
            return True

    def failed(self, name: str, now_us: int) -> None:
        """One more failure of a name."""
        with self._lock:
            known = self._failures.setdefault(name, _Failures())
            self._failures.move_to_end(name)
            known.count += 1
            over = known.count - FREE_FAILURES
            if over >= 0:
                known.wait_until_us = now_us + min(LONGEST_WAIT_US, FIRST_WAIT_US << min(over, 30))
                known.wait_in_trail = False
            while len(self._failures) > _NAMES_KNOWN:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Name and password did fit."""
        with self._lock:
            self._failures.pop(name, None)


class Accounts:
    """See dashboard_api.ports.Accounts. Every call blocks and may come from any thread.

    now_us: the people's real time, not that of a replay.
    """

    def __init__(self, ledger: Ledger, *, session_hours: float) -> None:
        self._ledger = ledger
        self._session_us = int(session_hours * 3600 * 1_000_000)
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        # An unknown name costs the same as a known one: the password is checked against this.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
        self._throttle = Throttle()

    def ensure_first_account(self, now_us: int) -> str | None:
        """Make the account ``admin`` where there is no account yet; its password, which is told this once only."""
        password = secrets.token_urlsafe(12)
        hashed = self._hasher.hash(password)
        with self._ledger.write() as transaction:
            if transaction.connection.execute(select(func.count()).select_from(tables.accounts)).scalar_one():
                return None
            _create(transaction, FIRST_ACCOUNT, hashed, SYSTEM, now_us)
        return password

    def create(self, name: str, password: str, *, actor: str, now_us: int) -> None:
        """Make an account. Raises PermanentError for a name that is taken or empty, or a password too short."""
        _check_password(password)
        if not name.strip() or len(name) > 100:
            raise PermanentError("an account's name has 1 to 100 characters")
        hashed = self._hasher.hash(password)
        with self._ledger.write() as transaction:
            if _account(transaction, name) is not None:
                raise PermanentError(f"there is an account {name} already")
            _create(transaction, name, hashed, actor, now_us)

    def set_password(self, name: str, password: str, *, actor: str, now_us: int) -> None:
        """Give an account another password and end its sessions. Raises PermanentError where it cannot be done."""
        _check_password(password)
        hashed = self._hasher.hash(password)
        with self._ledger.write() as transaction:
            account = _account(transaction, name)
            if account is None:
                raise PermanentError(f"there is no account {name}")
            transaction.change(tables.accounts, account["id"], password_hash=hashed)
            transaction.connection.execute(delete(tables.sessions).where(tables.sessions.c.account_id == account["id"]))
            transaction.trail(
                Action.PASSWORD_CHANGED, Subject.ACCOUNT, account["id"], at_us=now_us, actor=actor, name=name
            )
        self._throttle.succeeded(name)

    def sign_in(self, name: str, password: str, *, now_us: int) -> str | None:
        """A new session's secret token, or None where name and password do not fit, or must wait."""
        account = self._find(name)
        if self._throttle.must_wait(name, now_us):
            if self._throttle.first_refusal(name):
                self._refuse(account, now_us, why="throttled")
            return None
        fits = self._fits(self._nobody if account is None else account["password_hash"], password)
        if account is None or not account["active"] or not fits:
            self._throttle.failed(name, now_us)
            self._refuse(account, now_us, why="wrong")
            return None
        self._throttle.succeeded(name)
        token = secrets.token_urlsafe(32)
        with self._ledger.write() as transaction:
            transaction.connection.execute(delete(tables.sessions).where(tables.sessions.c.expires_us <= now_us))
            transaction.add_loose(
                tables.sessions,
                [
                    {
                        "token_sha256": _digest(token),
                        "account_id": account["id"],
                        "created_us": now_us,
                        "expires_us": now_us + self._session_us,
                    }
                ],
            )
            transaction.trail(Action.SIGNED_IN, Subject.ACCOUNT, account["id"], at_us=now_us, actor=name, name=name)
        return token

    def account_of(self, token: str, *, now_us: int) -> str | None:
        """The account's name while the session lasts."""
        sessions, accounts = tables.sessions.c, tables.accounts.c
        query = (
            select(accounts.name)
            .join(tables.sessions, sessions.account_id == accounts.id)
            .where(sessions.token_sha256 == _digest(token), sessions.expires_us > now_us, accounts.active)
        )
        with self._ledger.read() as connection:
            name: str | None = connection.execute(query).scalar_one_or_none()
        return name

    def sign_out(self, token: str) -> None:
        """End the session."""
        with self._ledger.write() as transaction:
            transaction.connection.execute(
                delete(tables.sessions).where(tables.sessions.c.token_sha256 == _digest(token))
            )

    def _find(self, name: str) -> Row | None:
        with self._ledger.read() as connection:
            query = select(tables.accounts).where(tables.accounts.c.name == name)
            return connection.execute(query).mappings().one_or_none()

    def _fits(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False

    def _refuse(self, account: Row | None, now_us: int, *, why: str) -> None:
        # A name that is no account's may be a password typed into the wrong field: it is not written down.
        with self._ledger.write() as transaction:
            transaction.trail(
                Action.SIGN_IN_REFUSED,
                Subject.ACCOUNT,
                0 if account is None else account["id"],
                at_us=now_us,
                actor=SYSTEM,
                name=None if account is None else account["name"],
                why=why,
            )


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise PermanentError(f"a password has at least {SHORTEST_PASSWORD} characters")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _account(transaction: Transaction, name: str) -> Row | None:
    found = transaction.rows(select(tables.accounts).where(tables.accounts.c.name == name))
    return found[0] if found else None


def _create(transaction: Transaction, name: str, hashed: str, actor: str, now_us: int) -> None:
    account_id = transaction.next_id(tables.accounts)
    transaction.add(
        tables.accounts,
        {"id": account_id, "name": name, "password_hash": hashed, "created_us": now_us, "active": True},
    )
    transaction.trail(Action.ACCOUNT_CREATED, Subject.ACCOUNT, account_id, at_us=now_us, actor=actor, name=name)
