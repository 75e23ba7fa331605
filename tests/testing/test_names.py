"""The public names of the test kit are there, and each is where the package says."""

import importlib

import pytest

import firefly_core.testing as kit


@pytest.mark.parametrize("name", kit.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(kit, name) is getattr(importlib.import_module(f"firefly_core.testing.{kit._WHERE[name]}"), name)


def test_the_table_and_the_public_names_are_the_same():
    assert sorted(kit._WHERE) == sorted(kit.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="FakeServer"):
        kit.FakeServer  # noqa: B018
