import pytest


@pytest.fixture(autouse=True)
def _double(double):
    """Every test here runs in double precision with a local seed."""
