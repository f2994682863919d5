"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import detectors

MODULES = [f"detectors.{module.name}" for module in pkgutil.iter_modules(detectors.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_the_docstrings_is_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
