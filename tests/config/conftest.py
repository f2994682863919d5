import shutil
from pathlib import Path

import pytest

from config.city_files import EXAMPLE


@pytest.fixture
def district(tmp_path: Path) -> Path:
    """A copy of the example that a test may break."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "district"))
