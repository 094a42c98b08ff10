"""How is a study run, and how far is it? On any executor of `concurrent.futures`; what is done stays done.

    folder/study.json          the study that the folder belongs to
    folder/inputs/HASH.npz     configurations that tasks read
    folder/tasks/HASH.json     a task that is done (`parts`)
    folder/failed/HASH.json    a task that failed as often as it may, and why
    folder/running/HASH.json   a task that a worker has begun
    folder/trainings/HASH/     checkpoints of trainings that are not at their end

A task is done when its file is there: a run that is killed goes on with the others. One run at a time holds the lock of
a folder, which the system takes back from a process that dies.
"""

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rgstep import locks
from rgstep.arguments import PATH, PROGRESS, InputError, checked, first_line, instance, optional, read_text, whole
from rgstep.files import check_folder, replacing
from rgstep.parts import Part, Settings, key_of, read_part, write_part
from rgstep.progress import spoken
from rgstep.schema import parse
from rgstep.studies import measure
from rgstep.studies.engines import Start, engine, is_lost
from rgstep.studies.plan import TASK, Plan, chains, plan_of, read_plan
from rgstep.types import Progress

FORMAT = 1
STUDY, LOCK = "study.json", ".lock"
FAILED, RUNNING = "failed", "running"
LOOK_EVERY = 2.0  # seconds between looks whether a scheduler is still there
TRIES = 3  # of what ends otherwise than in bad input
EXECUTOR = instance(Executor, "give an executor of concurrent.futures, or leave it out for processes of this machine")
Chain = list[dict[str, Any]]


def plan_or_path(name: str, value: object) -> object:
    """Check a study, or the name of its file."""
    return value if isinstance(value, Plan) else PATH(name, value)


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        title: of the study.
        done, total: tasks.
        running: tasks that a worker has begun and not ended, while a run holds the folder.
        failed: by the name of a task, its settings and why.
        alive: whether a run holds the folder now.
        seconds: that the tasks that are done took, all together.
        left: seconds until the end at the pace of the run that is going, None where there is none or no pace.
        notes: a line for each file that does not count.
    """

    title: str
    done: int
    total: int
    running: Sequence[Settings] = ()
    failed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alive: bool = False
    seconds: float = 0.0
    left: float | None = None
    notes: Sequence[str] = ()

    @property
    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "running": list(map(dict, self.running)), "notes": list(self.notes)}

    def __str__(self) -> str:
        """Return it in a few lines."""
        doing = f"{len(self.running)} running" if self.alive else "no run is going"
        left = "" if self.left is None else f", about {spoken(self.left)} left"
        lines = [
            f"{self.title}: {self.done} of {self.total} tasks done, {doing}, {len(self.failed)} failed{left}",
            *(f"failed: {settings_in_words(one['settings'])}: {one['reason']}" for one in self.failed.values()),
            *self.notes,
        ]
        return "\n".join(lines)


def settings_in_words(settings: Settings) -> str:
    """Return a task's settings on one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


# --- the folder


def stored_study(folder: Path) -> Mapping[str, Any] | None:
    """Return what a folder says of its study, None if it says nothing, {} if its file is damaged.

    Raises:
        InputError: if the folder is of another version.
    """
    try:
        found = parse((folder / STUDY).read_text(encoding="utf-8"))
        version, study = found["format"], dict(found["study"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    if version != FORMAT:
        message = f"folder {str(folder)!r} holds a study of format {version}, not {FORMAT}: choose another folder"
        raise InputError(message)
    return study


def plan_in(folder: Path) -> Plan:
    """Return the study that a folder belongs to.

    Raises:
        InputError: if it belongs to none, or its file is damaged or of another version.
    """
    study = stored_study(folder)
    if study is None:
        message = f"folder {str(folder)!r} holds no study: run one into it, 'rgstep study run FILE.toml --out FOLDER'"
        raise InputError(message)
    if not study:
        message = (
            f"file {str(folder / STUDY)!r} is damaged: run the study again with its file, tasks that are done count"
        )
        raise InputError(message)
    return plan_of(study)


def check_place(folder: Path, plan: Plan) -> None:
    """Check that a folder is this study's or may become it; a study whose grid has grown is the same study.

    Raises:
        InputError: if the folder holds another study, or something else, or cannot be written.
    """
    check_folder(folder)
    if folder.exists() and not folder.is_dir():
        message = f"output {str(folder)!r} is a file: name a folder"
        raise InputError(message)
    there = stored_study(folder)
    if there and there.get("title") != plan.title:
        message = f"folder {str(folder)!r} is of another study, {there.get('title')!r}: choose another folder"
        raise InputError(message)
    if there is None and folder.exists() and any(one.name != LOCK for one in folder.iterdir()):
        message = f"folder {str(folder)!r} holds something else than a study: choose another folder"
        raise InputError(message)


def write_plan(folder: Path, plan: Plan) -> None:
    """Write which study a folder belongs to."""
    study = {"title": plan.title, "fixed": plan.fixed, "grid": plan.grid, "show": list(plan.show)}
    write_json(folder / STUDY, {"format": FORMAT, "study": study})


def write_json(path: Path, value: Any) -> None:
    """Write plain values, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder, and hold its lock.

    Raises:
        InputError: if another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = locks.take(folder / LOCK)
    if lock is None:
        holder = locks.holder(folder / LOCK)
        message = (
            f"folder {str(folder)!r} is in use by another run ({holder}): wait for it, or stop it; "
            "'rgstep study status' shows how far it is"
        )
        raise InputError(message)
    try:
        yield
    finally:
        lock.release()


# --- what a worker does


def note_of(folder: Path, kind: str, settings: Settings) -> Path:
    """Return the file that says that a task is running, or has failed."""
    return folder / kind / f"{key_of(TASK, settings)}.json"


def begin(folder: Path, settings: Settings) -> Path:
    """Note that a task has begun; returns the note's file."""
    path = note_of(folder, RUNNING, settings)
    write_json(path, {"settings": dict(settings), "process": os.getpid(), "host": socket.gethostname()})
    return path


def do_chain(folder: Path, chain: Chain) -> None:
    """Do the tasks of one training that are not done, in order.

    Raises:
        InputError: if a setting or its data are bad.
    """
    for settings in chain:
        if read_part(folder, TASK, settings)[0] is None:
            note, clock = begin(folder, settings), time.perf_counter()
            try:
                values = json.loads(json.dumps(measure.measure(folder, settings), allow_nan=False))
                write_part(folder, TASK, Part(dict(settings), values, round(time.perf_counter() - clock, 2)))
            finally:
                note.unlink(missing_ok=True)
        note_of(folder, FAILED, settings).unlink(missing_ok=True)
    if checkpoints := measure.checkpoints_of(folder, chain[-1]):
        shutil.rmtree(checkpoints, ignore_errors=True)


# --- the run


@checked(
    plan=plan_or_path,
    out=PATH,
    workers=optional(whole(1, 1024)),
    executor=optional(EXECUTOR),
    dask=optional(read_text),
    progress=PROGRESS,
)
def run_study(
    plan: Plan | str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> Status:
    r"""Do all tasks of a study that are not done, and return how it stands.

    What a task gives depends on its settings alone: not on the order, the number of workers or the engine.

    Args:
        plan: a study, or its TOML file.
        out: the folder of its results; a study whose grid has grown goes on in the same one.
        workers: processes, as many as cores by default; each uses one thread.
        executor: an executor of `concurrent.futures` in place of processes of this machine; its workers must see the
            folder.
        dask: the address of a running scheduler of Dask, or "local" for one that is started here.
        progress: called as tasks are done.

    Raises:
        InputError: for a bad file, a folder of another study, or one that another run uses, or a scheduler that does
            not answer or is lost.

    Examples:
        >>> from pathlib import Path
        >>> lines = ['title = "Two sets"', "[fixed]", 'map = "majority"', "size = 8", "judged_samples = 500"]
        >>> size = Path("study.toml").write_text("\n".join([*lines, "[grid]", "judged_seed = [0, 1]"]))
        >>> rg.run_study("study.toml", "out", workers=1).done
        2
    """
    study = plan if isinstance(plan, Plan) else read_plan(plan)
    folder = Path(out).absolute()
    check_place(folder, study)
    with only_run(folder):
        write_plan(folder, study)
        shutil.rmtree(folder / RUNNING, ignore_errors=True)  # of runs that were killed
        left = [one for one in study.tasks if read_part(folder, TASK, one)[0] is None]
        if left:
            with engine(executor, dask, workers or os.cpu_count() or 1) as start:
                Run(folder, study, start, progress).go(left)
    return study_status(folder)


class Run:
    """One run: jobs are given to an executor, those that fail again, up to `TRIES` times."""

    def __init__(self, folder: Path, study: Plan, start: Start, progress: Progress | None) -> None:
        """Begin with nothing submitted."""
        self.folder, self.study, self.start, self.progress = folder, study, start, progress
        self.executor = start()

    def go(self, left: Sequence[dict[str, Any]]) -> None:
        """Sample what tasks read, then do the tasks; those whose configurations cannot be had fail with that reason."""
        inputs = {key_of(measure.INPUT, given): given for one in left for given in measure.inputs_of(one)}
        without: dict[str, BaseException] = {}
        for ended, (given, error) in enumerate(self.results(measure.make_input, list(inputs.values())), start=1):
            self.tell("configurations", ended, len(inputs))
            if error is not None:
                without[key_of(measure.INPUT, given)] = error
        total, done, ready = len(self.study.tasks), len(self.study.tasks) - len(left), []
        for one in left:
            lacking = without.keys() & {key_of(measure.INPUT, given) for given in measure.inputs_of(one)}
            if lacking:
                self.note_failure([one], without[min(lacking)])
                done += 1
            else:
                ready.append(one)
        self.tell("tasks", done, total)
        for chain, error in self.results(do_chain, chains(ready), self.was_begun):
            if error is not None:
                self.note_failure(chain, error)
            done += len(chain)
            self.tell("tasks", done, total)

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report progress."""
        if self.progress:
            self.progress(stage, done, total)

    def was_begun(self, chain: Chain) -> bool:
        """Whether a worker had begun a chain when its pool broke; the notes of it are removed."""
        notes = [note_of(self.folder, RUNNING, settings) for settings in chain]
        begun = any(note.exists() for note in notes)
        for note in notes:
            note.unlink(missing_ok=True)
        return begun

    def results(
        self, work: Callable[[Path, Any], Any], jobs: Sequence[Any], was_begun: Callable[[Any], bool] = lambda _: True
    ) -> Iterator[tuple[Any, BaseException | None]]:
        """Do all jobs and yield each as it ends, with what its last try raised; bad input is not tried again.

        A worker that dies takes the whole pool of processes with it, and which job killed it cannot be told. Jobs of
        that pool that had not begun are given to a new one; those that had are done at the end, one at a time, so that
        one that kills its worker again has itself to blame.

        Raises:
            InputError: if the executor takes no more jobs.
        """
        tries = [0] * len(jobs)
        suspects: list[int] = []
        waiting = {self.submit(work, job): n for n, job in enumerate(jobs)}
        while waiting or suspects:
            alone = not waiting
            if alone:
                n = suspects.pop(0)
                waiting = {self.submit(work, jobs[n]): n}
            ready = self.ended(waiting)
            begun: set[int] = set()
            if any(isinstance(error_of(future), BrokenProcessPool) for future in ready):
                wait(waiting)  # all of them are broken
                ready = set(waiting)
                self.executor = self.start()
                of_pool = [n for future, n in waiting.items() if isinstance(error_of(future), BrokenProcessPool)]
                begun = {n for n in of_pool if was_begun(jobs[n])} or set(of_pool)  # it may die before any begins
            again: list[int] = []
            for future in ready:
                n, error = waiting.pop(future), error_of(future)
                tries[n] += alone or not isinstance(error, BrokenProcessPool)
                if error is None or isinstance(error, InputError) or tries[n] >= TRIES:
                    yield jobs[n], error
                else:
                    (suspects if n in begun else again).append(n)
            waiting |= {self.submit(work, jobs[n]): n for n in again}

    def ended(self, waiting: Collection[Future[Any]]) -> set[Future[Any]]:
        """Return the jobs that have ended, as soon as there is one.

        Raises:
            InputError: if the executor has lost its scheduler.
        """
        while not (ready := wait(waiting, LOOK_EVERY, FIRST_COMPLETED).done):
            if is_lost(self.executor):
                why = "the scheduler is gone"
                raise workers_lost(why)
        return ready

    def submit(self, work: Callable[[Path, Any], Any], job: Any) -> Future[Any]:
        """Give a job to the executor."""
        try:
            return self.executor.submit(work, self.folder, job)
        except Exception as error:  # of any engine
            raise workers_lost(first_line(error)) from error

    def note_failure(self, tasks: Sequence[Settings], error: BaseException) -> None:
        """Write why tasks that are not done failed."""
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {first_line(error)}"
        for settings in tasks:
            if read_part(self.folder, TASK, settings)[0] is None:
                note = {"settings": dict(settings), "reason": reason}
                write_json(note_of(self.folder, FAILED, settings), note)


def workers_lost(why: str) -> InputError:
    """Return the error of a run that has nobody left to do its tasks."""
    message = f"the workers are lost ({why}): run the study again, tasks that are done count"
    return InputError(message)


def error_of(future: Future[Any]) -> BaseException | None:
    """Return what a job raised, its cancellation too."""
    try:
        return future.exception()
    except CancelledError as error:
        return error


@checked(out=PATH)
def study_status(out: str | Path) -> Status:
    r"""Return how far a study is, at any time, from any process that sees its folder.

    Raises:
        InputError: if the folder holds no study.

    Examples:
        >>> from pathlib import Path
        >>> lines = ['title = "Two sets"', "[fixed]", 'map = "majority"', "size = 8", "judged_samples = 500"]
        >>> size = Path("study.toml").write_text("\n".join([*lines, "[grid]", "judged_seed = [0, 1]"]))
        >>> status = rg.run_study("study.toml", "out", workers=1)
        >>> rg.study_status("out").done
        2
    """
    folder = Path(out)
    study = plan_in(folder)
    parts, notes = parts_of(folder, study)
    running = read_notes(folder / RUNNING)
    alive = locks.alive(folder / LOCK)
    seconds = sum(part.seconds for part in parts)
    left = None
    if alive and parts and running:
        left = seconds / len(parts) * (len(study.tasks) - len(parts)) / len(running)
    wanted = {key_of(TASK, one) for one in study.tasks}
    failed = {name: one for name, one in read_notes(folder / FAILED).items() if name in wanted}
    return Status(
        study.title,
        len(parts),
        len(study.tasks),
        [one["settings"] for one in running.values()] if alive else [],
        failed,
        alive,
        seconds,
        left,
        notes,
    )


def parts_of(folder: Path, study: Plan) -> tuple[list[Part], list[str]]:
    """Return the tasks that are done, and a line for each file that does not count."""
    read = [read_part(folder, TASK, one) for one in study.tasks]
    return [part for part, _ in read if part is not None], [note for _, note in read if note]


def read_notes(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the notes of a folder by the names of their tasks; those that vanish or are half there are left out."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(note, Mapping) and isinstance(note.get("settings"), Mapping):
            found[path.stem] = note
    return found
