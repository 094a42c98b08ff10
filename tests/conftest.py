"""What all tests share: a seeded generator, small critical ensembles, laws checked on the same cases in every run."""

import os
import sys
import tempfile
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can import `reference`
pytest.register_assert_rewrite("reference")

import rgstep as rg  # noqa: E402

settings.register_profile("same cases", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("same cases")


def pytest_configure(config):
    """Set what the workers and all subprocesses inherit.

    Each worker has a core of its own, so BLAS takes one thread. What JAX has compiled in one process is read in the
    others.
    """
    if not hasattr(config, "workerinput"):
        config.compiled = tempfile.TemporaryDirectory()
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compiled.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"


def pytest_unconfigure(config):
    """Remove what was compiled."""
    if not hasattr(config, "workerinput"):
        config.compiled.cleanup()


@pytest.fixture
def rng():
    """A generator with a fixed seed."""
    return np.random.default_rng(20260)


@pytest.fixture(scope="session")
def critical4():
    """20,000 critical configurations of the 4×4 torus, where everything is known by enumeration."""
    return rg.sample(size=4, temperature=rg.CRITICAL_TEMPERATURE, samples=20_000, seed=4)


@pytest.fixture(scope="session")
def critical8():
    """640 critical configurations of side 8."""
    return rg.sample(size=8, temperature=rg.CRITICAL_TEMPERATURE, samples=640, seed=8)


@pytest.fixture
def as_users_run():
    """Without the checks of types at run time, which only tests have: they would speak before the package does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
