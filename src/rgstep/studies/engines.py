"""Where do the tasks of a study run? In processes of this machine, or on the workers of Dask distributed.

Anything that is an executor of `concurrent.futures` will do (`run_study(…, executor=…)`). Every worker uses one thread,
so that n workers on n cores do not get in each other's way, and tasks give the same bits anywhere.

Dask (`pip install 'rgstep[cluster]'`): an address is that of a running scheduler, whose workers must see the study's
folder under the same path, and should be started with one thread each; "local" starts a scheduler and workers here.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from rgstep.arguments import InputError

LOCAL = "local"
ANSWERS_WITHIN = "5s"
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD_OF_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
# Dask's defaults hand freed memory back at 64 kB, and look at every thread a hundred times a second. Our tasks make
# many arrays of a few hundred kB: both together cost some 20 % of a worker's time (docs/design-notes.md).
LOCAL_WORKERS = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
}
Start = Callable[[], Executor]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile use one thread each."""
    wanted = {**dict.fromkeys(ONE_THREAD, "1"), "XLA_FLAGS": ONE_THREAD_OF_XLA}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def engine(executor: Executor | None, dask: str | None, workers: int) -> Iterator[Start]:
    """Yield what gives the executor, and gives a new one after processes broke; what was started here ends with it.

    Raises:
        InputError: if both an executor and Dask are asked for, Dask is missing, or the scheduler does not answer.
    """
    if executor is not None and dask is not None:
        message = f"dask = {dask!r} and an executor: give one of them"
        raise InputError(message)
    with one_thread_each():
        if executor is not None:
            yield lambda: executor
        elif dask is not None:
            with of_dask(dask, workers) as given:
                yield lambda: given
        else:
            with processes(workers) as start:
                yield start


@contextmanager
def processes(workers: int) -> Iterator[Start]:
    """Yield what starts processes of this machine."""
    started: list[ProcessPoolExecutor] = []

    def start() -> Executor:
        started.append(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
        return started[-1]

    try:
        yield start
    finally:
        unwinding = sys.exc_info()[0] is not None
        for pool in started:
            pool.shutdown(wait=not unwinding, cancel_futures=True)


def is_lost(executor: Executor) -> bool:
    """Whether an executor of Dask has lost its scheduler: what was given to it then stays undone without a word."""
    client = getattr(executor, "_client", None)
    return client is not None and client.status in ("closing", "closed")


@contextmanager
def of_dask(address: str, workers: int) -> Iterator[Executor]:
    """Yield the executor of a running scheduler, or of one that is started here with its dashboard."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        message = f"dask = {address!r}: Dask is missing, install it with: pip install 'rgstep[cluster]'"
        raise InputError(message) from error
    if address == LOCAL:
        with (
            importlib.import_module("dask.config").set(LOCAL_WORKERS),
            distributed.LocalCluster(n_workers=workers, threads_per_worker=1) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client.get_executor()
        return
    try:
        client = distributed.Client(address, timeout=ANSWERS_WITHIN)
    except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
        message = f"dask = {address!r}: no scheduler answers within {ANSWERS_WITHIN}; start one, or check the address"
        raise InputError(message) from error
    with client:
        if not client.scheduler_info()["workers"]:
            message = f"dask = {address!r}: the scheduler has no workers; start some, with one thread each"
            raise InputError(message)
        yield client.get_executor()
