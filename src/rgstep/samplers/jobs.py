"""Many makers, few threads: whoever makes something yields lists of jobs and is sent their results.

A maker is a generator. It never waits: while its jobs run, those of other makers fill the other threads. Only kernels
that hold no interpreter lock run in threads; makers, progress and errors stay in the thread of the caller, so that an
interrupt stops everything at the next job.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A call for a thread; `when_done` is called in the caller's thread afterwards."""

    run: Callable[[], Any]
    when_done: Callable[[], None] | None = None


Maker = Generator[list[Job], list[Any], T]


def run_all(makers: Sequence[Maker[T]], threads: int) -> list[T]:
    """Return what each maker returns; their jobs share so many threads."""
    results: dict[int, T] = {}
    pool = ThreadPoolExecutor(threads)
    answers: dict[int, list[Any]] = {}
    missing: dict[int, int] = {}
    running: dict[Future[Any], tuple[int, int, Job]] = {}

    def step(k: int, answer: list[Any] | None) -> None:
        try:
            jobs = makers[k].send(answer)  # type: ignore[arg-type]  # None starts a generator
            while not jobs:
                jobs = makers[k].send([])
        except StopIteration as end:
            results[k] = end.value
            return
        answers[k], missing[k] = [None] * len(jobs), len(jobs)
        running.update((pool.submit(job.run), (k, place, job)) for place, job in enumerate(jobs))

    try:
        for k in range(len(makers)):
            step(k, None)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                k, place, job = running.pop(future)
                answers[k][place] = future.result()
                missing[k] -= 1
                if job.when_done:
                    job.when_done()
                if missing[k] == 0:
                    step(k, answers[k])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [results[k] for k in range(len(makers))]
