"""Running commands and taking the time."""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
NULL_INPUT = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)


def spawn(command, env, output="/dev/null"):
    """Its pid. posix_spawn forks nothing of this process, so the time does not depend on how large it is."""
    write = (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.posix_spawn(command[0], command, env, file_actions=[NULL_INPUT, write])


def timed(command, env, output="/dev/null"):
    """Milliseconds until it has ended. The command is an absolute path and its arguments."""
    begin = time.perf_counter()
    _, status = os.waitpid(spawn(command, env, output), 0)
    elapsed = (time.perf_counter() - begin) * 1e3
    if status != 0:
        sys.exit(f"{command}: exit status {os.waitstatus_to_exitcode(status)}")
    return elapsed


def answer(command, env, check=True):
    """What it prints, without the time."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=check, text=True)
    return done.stdout.strip()


def until_ended(pid, timeout=60):
    """Waits for any process, a child or not."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(end, select.POLLIN)
    if not poll.poll(timeout * 1e3):
        sys.exit(f"pid {pid} does not end")
    os.close(end)


def until(condition, what, timeout=20):
    """For what tells nobody when it happens."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.002)


def program(name):
    """The path of an installed program, or None."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def compiled_floors(work):
    """The floor as a static program, by each C library that is there: name → path."""
    floors = {}
    for name, compiler in (("floor (musl)", "musl-gcc"), ("floor (glibc)", "cc")):
        path = work / name.replace(" ", "-")
        if shutil.which(compiler):
            command = [compiler, "-O2", "-Wall", "-static", "-o", path, HERE / "floor.c"]
            if subprocess.run(command).returncode == 0:
                floors[name] = str(path)
    if not floors:
        sys.exit("no C compiler: nothing to compare with")
    return floors
