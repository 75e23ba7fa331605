"""Scenarios are imported by their path from the root, as the promises import them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.scenarios.open_house import open_house  # noqa: E402


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """Make a certificate; give the file that holds it and its key."""
    file = tmp_path_factory.mktemp("papers") / "papers.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", file, "-out", f"{file}.cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + Path(f"{file}.cert").read_text())
    return file


@pytest.fixture(scope="module")
def house(papers):
    """Open one house for all tests of a module, in one virtual world."""
    with open_house(papers) as house:
        yield house
