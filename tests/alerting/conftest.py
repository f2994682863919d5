from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.commands import Commands
from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from config.city import City
from tests.alerting import support


@pytest.fixture(scope="session")
def city() -> City:
    return support.city()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = support.new_ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def pipeline(ledger: Ledger, city: City) -> Pipeline:
    return Pipeline(ledger, city)


@pytest.fixture
def commands(ledger: Ledger, city: City) -> Commands:
    return Commands(ledger, city)
