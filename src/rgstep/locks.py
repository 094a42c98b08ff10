"""Is someone at work here? A lock on a file that ends with the process that holds it, however that ends.

Where the file system or the platform has no such lock, the pid and the start time written in the file decide.
"""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TRIES = 100  # that a lock is asked for again because its file was removed on the way
SAME_START = 1.0  # seconds: a process that has the pid and started at another time is not the one that wrote it


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds."""

    path: Path
    handle: int

    def release(self) -> None:
        """Remove the file, and let go."""
        self.path.unlink(missing_ok=True)
        os.close(self.handle)


def take(path: Path) -> Lock | None:
    """Return a lock on a file that is made for it, or None if a process that is alive holds it.

    Raises:
        OSError: if the file cannot be made.
    """
    for _ in range(TRIES):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        if not locked(handle, path):
            os.close(handle)
            return None
        if is_at(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()} {socket.gethostname()} {started(os.getpid())}\n".encode())
            return Lock(path, handle)
        os.close(handle)  # its holder removed it between the two
    message = f"the lock {path.name} vanishes again and again"
    raise OSError(None, message)


def locked(handle: int, path: Path) -> bool:
    """Lock an open file; returns whether no other process holds it."""
    try:
        import fcntl  # POSIX alone has it

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return not alive(path)
    return True


def is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is still the one that has the name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def read(path: Path) -> tuple[int, str, float] | None:
    """Return the pid, the host and the start time in a lock file; None if it says nothing of the kind."""
    with suppress(OSError, ValueError):
        pid, host, start = path.read_text(encoding="utf-8").split()
        return int(pid), host, float(start)
    return None


def alive(path: Path) -> bool:
    """Return whether the process that a lock file names runs; one on another host is taken to do so."""
    found = read(path)
    if found is None:
        return False
    pid, host, start = found
    return host != socket.gethostname() or abs(started(pid) - start) < SAME_START


def started(pid: int) -> float:
    """Return when a process started, in seconds since 1970; infinite if there is none."""
    import psutil  # only where something is written

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return float("inf")


def holder(path: Path) -> str:
    """Return who holds a lock, in words."""
    found = read(path)
    if found is None:
        return "another process"
    pid, host, start = found
    return f"process {pid} on {host}, at work since {time.strftime('%Y-%m-%d %H:%M', time.localtime(start))}"
