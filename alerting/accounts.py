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
UNKNOWN_NAMES = "unknown_names"
"""Why sign-ins were refused, where the trail counts them together."""

SHORTEST_PASSWORD = 10
FREE_FAILURES = 5
"""Failures of one name before it has to wait."""

FIRST_WAIT_US = 1_000_000
LONGEST_WAIT_US = 10 * 1_000_000
"""Short: a stranger who keeps on failing may slow a name's owner down, not keep them out."""

FORGOTTEN_AFTER_US = 900 * 1_000_000
"""Failures of a name count together while they follow each other within this time."""

SUMMARY_EVERY_US = 60 * 1_000_000
"""Refusals of names that are no account's go to the trail as one count, this often at most."""

STRANGERS_PER_S = 5
STRANGERS_AT_ONCE = 20
"""How many passwords of names that are no account's are checked: after a burst, so many a second."""

HASHES_AT_ONCE = 2
HASH_PATIENCE_S = 5.0
"""A sign-in that waits for longer for its turn is refused."""

_NAMES_KNOWN = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_us: int = 0
    wait_until_us: int = 0
    wait_in_trail: bool = False


class Throttle:
    """How long a name has to wait after failures: 1 s after the fifth, doubling to 10 s.

    Kept in memory for the names that failed last. Thread-safe.
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
            if now_us - known.last_us > FORGOTTEN_AFTER_US:
                known.count = 0
            known.last_us = now_us
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

    def forgive(self, account: str) -> None:
        """Forget the failures of an account from wherever they came."""
        with self._lock:
            for key in [key for key in self._failures if key.rpartition("\0")[2] == account]:
                del self._failures[key]


class Allowance:
    """So many a second, a burst of them at once. Thread-safe."""

    def __init__(self, per_s: float, at_once: int) -> None:
        self._per_us, self._most = per_s / 1_000_000, float(at_once)
        self._left, self._at_us = float(at_once), 0
        self._lock = threading.Lock()

    def take(self, now_us: int) -> bool:
        """Whether one more may be done now."""
        with self._lock:
            gained = max(0, now_us - self._at_us) * self._per_us
            self._left, self._at_us = min(self._most, self._left + gained), max(self._at_us, now_us)
            if self._left < 1:
                return False
            self._left -= 1
            return True


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
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
        # Names of strangers cannot push those of accounts out of what is known.
        self._throttle, self._throttle_of_strangers = Throttle(), Throttle()
        self._strangers = Allowance(STRANGERS_PER_S, STRANGERS_AT_ONCE)
        self._summary = threading.Lock()
        self._unwritten, self._summary_due_us = 0, 0

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
        self._throttle.forgive(name)

    def sign_in(self, name: str, password: str, *, now_us: int, source: str = "") -> str | None:
        """A new session's secret token, or None where name and password do not fit, or must wait.

        source: where the attempt comes from (an address), where that is known: failures from elsewhere do not make
        a name wait.
        """
        account = self._find(name)
        self._summarise(now_us)
        key = f"{source}\0{name}"
        throttle = self._throttle_of_strangers if account is None else self._throttle
        if throttle.must_wait(key, now_us):
            if throttle.first_refusal(key) or account is None:
                self._refuse(account, now_us, why="throttled")
            return None
        if account is None and not self._strangers.take(now_us):
            self._refuse(account, now_us, why="throttled")
            return None
        fits = self._fits(self._nobody if account is None else account["password_hash"], password)
        if fits is None:
            self._refuse(account, now_us, why="busy")
            return None
        if account is None or not account["active"] or not fits:
            throttle.failed(key, now_us)
            self._refuse(account, now_us, why="wrong")
            return None
        throttle.succeeded(key)
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

    def _fits(self, hashed: str, password: str) -> bool | None:
        """Whether they fit; None where too many wait to know it."""
        if not self._hashing.acquire(timeout=HASH_PATIENCE_S):
            return None
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False
        finally:
            self._hashing.release()

    def _refuse(self, account: Row | None, now_us: int, *, why: str) -> None:
        if account is None:
            with self._summary:
                self._unwritten += 1
            self._summarise(now_us)
            return
        self._write_refusal(account["id"], now_us, name=account["name"], why=why)

    def _summarise(self, now_us: int) -> None:
        """Write down how many names that are no account's were refused, once a minute at most.

        The names are not: one may be a password typed into the wrong field.
        """
        with self._summary:
            if not self._unwritten or now_us < self._summary_due_us:
                return
            self._write_refusal(0, now_us, name=None, why=UNKNOWN_NAMES, count=self._unwritten)
            self._unwritten, self._summary_due_us = 0, now_us + SUMMARY_EVERY_US

    def _write_refusal(self, account_id: int, now_us: int, **detail: object) -> None:
        with self._ledger.write() as transaction:
            transaction.trail(Action.SIGN_IN_REFUSED, Subject.ACCOUNT, account_id, at_us=now_us, actor=SYSTEM, **detail)


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
