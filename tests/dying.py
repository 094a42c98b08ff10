"""Jobs for processes: one that kills its worker the first time, one that always does, one that is plain."""

import os
import signal
import time


def job(folder, name):
    """Do a job of a name, and note each time that it is begun."""
    with (folder / name).open("a") as file:
        file.write("begun\n")
    times = len((folder / name).read_text().splitlines())
    if name.startswith("always") or (name.startswith("once") and times == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return name
