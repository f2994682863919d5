import doctest
from types import ModuleType

import pytest

from ingest import admit, line_protocol, topics


@pytest.mark.parametrize("module", [admit, line_protocol, topics], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted > 0
    assert tried.failed == 0
