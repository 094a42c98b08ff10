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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from rgstep.studies import measure
from rgstep.studies.engines import Start, engine
from rgstep.studies.plan import TASK, Plan, chains, plan_of, read_plan
from rgstep.types import Progress

FORMAT = 1
STUDY, LOCK = "study.json", ".lock"
FAILED, RUNNING = "failed", "running"
TRIES = 3  # of what ends otherwise than in bad input
EXECUTOR = instance(Executor, "give an executor of concurrent.futures, or leave it out for processes of this machine")
Chain = list[dict[str, Any]]


def read_plan_or_path(name: str, value: object) -> object:
    """Check a study, or the name of its file."""
    return value if isinstance(value, Plan) else PATH(name, value)


PLAN = read_plan_or_path


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
        left = "" if self.left is None else f", about {in_words(self.left)} left"
        lines = [
            f"{self.title}: {self.done} of {self.total} tasks done, {doing}, {len(self.failed)} failed{left}",
            *(f"failed: {settings_in_words(one['settings'])}: {one['reason']}" for one in self.failed.values()),
            *self.notes,
        ]
        return "\n".join(lines)


def in_words(seconds: float) -> str:
    """Return a time in s, min or h."""
    for unit, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def settings_in_words(settings: Settings) -> str:
    """Return a task's settings on one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


# --- the folder


def plan_in(folder: Path) -> Plan:
    """Return the study that a folder belongs to.

    Raises:
        InputError: if it belongs to none, or its file is damaged or of another version.
    """
    path = folder / STUDY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version, study = found["format"], found["study"]
    except FileNotFoundError as error:
        message = f"folder {str(folder)!r} holds no study: run one into it, 'rgstep study run FILE.toml --out FOLDER'"
        raise InputError(message) from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"file {str(path)!r} is damaged: run the study again with its TOML file, tasks that are done count"
        raise InputError(message) from error
    if version != FORMAT:
        message = f"folder {str(folder)!r} holds a study of format {version}, not {FORMAT}: choose another folder"
        raise InputError(message)
    return plan_of(study)


def prepare(folder: Path, plan: Plan) -> None:
    """Make the folder of a study, or check that it is this one's; a study whose grid has grown is the same study.

    Raises:
        InputError: if the folder holds another study, or something else, or cannot be written.
    """
    check_folder(folder)
    if folder.exists() and not folder.is_dir():
        message = f"output {str(folder)!r} is a file: name a folder"
        raise InputError(message)
    path = folder / STUDY
    if path.exists():
        title = title_in(path)
        if title is not None and title != plan.title:
            message = f"folder {str(folder)!r} is of another study, {title!r}: choose another folder"
            raise InputError(message)
    elif folder.exists() and any(one.name != LOCK for one in folder.iterdir()):
        message = f"folder {str(folder)!r} holds something else than a study: choose another folder"
        raise InputError(message)
    study = {"title": plan.title, "fixed": plan.fixed, "grid": plan.grid, "show": list(plan.show)}
    write_json(path, {"format": FORMAT, "study": study})


def title_in(path: Path) -> str | None:
    """Return the title in a study's file, None where it cannot be read: it is then written anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["study"]["title"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return str(found)


def write_json(path: Path, value: Any) -> None:
    """Write plain values, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        InputError: if another run holds it.
    """
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


def begin(folder: Path, settings: Settings) -> Path:
    """Note that a task has begun; returns the note's file."""
    path = folder / RUNNING / f"{key_of(TASK, settings)}.json"
    write_json(path, {"settings": dict(settings), "process": os.getpid(), "host": socket.gethostname()})
    return path


def do_chain(folder: Path, chain: Chain) -> list[str]:
    """Do the tasks of one training that are not done, in order; returns the names of those that are done now.

    Raises:
        InputError: if a setting or its data are bad.
    """
    done = []
    for settings in chain:
        if read_part(folder, TASK, settings)[0] is None:
            note, clock = begin(folder, settings), time.perf_counter()
            try:
                values = json.loads(json.dumps(measure.measure(folder, settings), allow_nan=False))
                write_part(folder, TASK, measure.as_part(settings, values, time.perf_counter() - clock))
            finally:
                note.unlink(missing_ok=True)
        (folder / FAILED / f"{key_of(TASK, settings)}.json").unlink(missing_ok=True)
        done.append(key_of(TASK, settings))
    if checkpoints := measure.checkpoints_of(folder, chain[-1]):
        shutil.rmtree(checkpoints, ignore_errors=True)
    return done


# --- the run


@checked(
    plan=PLAN,
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
    """Do all tasks of a study that are not done, and return how it stands.

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
    """
    study = plan if isinstance(plan, Plan) else read_plan(plan)
    folder = Path(out).absolute()
    prepare(folder, study)
    with only_run(folder):
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
        """Sample what tasks read, then do the tasks."""
        inputs = {key_of(measure.INPUT, given): given for one in left for given in measure.inputs_of(one)}
        missing = [given for given in inputs.values() if not measure.path_of_input(self.folder, given).exists()]
        for ended, _ in enumerate(self.results(measure.make_input, missing), start=1):
            self.tell("configurations", ended, len(missing))
        total, done = len(self.study.tasks), len(self.study.tasks) - len(left)
        self.tell("tasks", done, total)
        for chain, error in self.results(do_chain, chains(left)):
            if error is not None:
                self.note_failure(chain, error)
            done += len(chain)
            self.tell("tasks", done, total)

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report progress."""
        if self.progress:
            self.progress(stage, done, total)

    def results(
        self, work: Callable[[Path, Any], Any], jobs: Sequence[Any]
    ) -> Iterator[tuple[Any, BaseException | None]]:
        """Do all jobs and yield each as it ends, with what its last try raised; bad input is not tried again.

        Raises:
            InputError: if the executor takes no more jobs.
        """
        tries = [0] * len(jobs)
        waiting = {self.submit(work, job): n for n, job in enumerate(jobs)}
        while waiting:
            ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
            failed = []
            for future in ready:
                n, error = waiting.pop(future), error_of(future)
                tries[n] += 1
                if error is None or isinstance(error, InputError) or tries[n] >= TRIES:
                    yield jobs[n], error
                else:
                    failed.append((n, error))
            if any(isinstance(error, BrokenProcessPool) for _, error in failed):
                self.executor = self.start()
            waiting |= {self.submit(work, jobs[n]): n for n, _ in failed}

    def submit(self, work: Callable[[Path, Any], Any], job: Any) -> Future[Any]:
        """Give a job to the executor."""
        try:
            return self.executor.submit(work, self.folder, job)
        except Exception as error:  # of any engine
            message = f"the workers are lost ({first_line(error)}): run the study again, tasks that are done count"
            raise InputError(message) from error

    def note_failure(self, chain: Chain, error: BaseException) -> None:
        """Write why the tasks of a chain that are not done failed."""
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {first_line(error)}"
        for settings in chain:
            if read_part(self.folder, TASK, settings)[0] is None:
                path = self.folder / FAILED / f"{key_of(TASK, settings)}.json"
                write_json(path, {"settings": dict(settings), "reason": reason})


def error_of(future: Future[Any]) -> BaseException | None:
    """Return what a job raised, its cancellation too."""
    try:
        return future.exception()
    except CancelledError as error:
        return error


@checked(out=PATH)
def study_status(out: str | Path) -> Status:
    """Return how far a study is, at any time, from any process that sees its folder.

    Raises:
        InputError: if the folder holds no study.
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
