"""How each thing is measured."""

import os
import signal
import subprocess
import sys
import time

from . import proc
from .commands import spawn, until, until_ended

WARM_UP = 3
# After each command, so that what it left running in the background is not part of the next one's time.
PAUSE = 0.003
# What has taken so many seconds in all, with what is not timed, is not run more often than that.
ENOUGH, LEAST_ROUNDS = 5, 20


def interleaved(takers, rounds):
    """Milliseconds by name, each once per round, so that a slow moment hits all alike. A taker is a function that returns
    milliseconds, and what to do after it."""
    times = {name: [] for name in takers}
    spent = dict.fromkeys(takers, 0.0)
    for turn in range(WARM_UP + rounds):
        for name, (take, settle) in takers.items():
            if spent[name] > ENOUGH and len(times[name]) >= LEAST_ROUNDS:
                continue
            begin = time.perf_counter()
            elapsed = take()
            settle()
            spent[name] += time.perf_counter() - begin
            time.sleep(PAUSE)
            if turn >= WARM_UP:
                times[name].append(elapsed)
    return times


def woken(contender, rounds):
    """Milliseconds from the end of a process to the end of what was blocked on it; empty where nothing can be."""
    times = []
    for turn in range(WARM_UP + rounds):
        sleeper = contender.sleeper()
        if sleeper is None:
            break
        try:
            if sleeper.waiter is None:
                break
            elapsed = wake(sleeper, contender.env)
        finally:
            sleeper.end()
        time.sleep(PAUSE)
        if turn >= WARM_UP:
            times.append(elapsed)
            if elapsed > 200 and len(times) >= 5:
                break  # it polls, and more rounds would tell nothing more
    return times


def wake(sleeper, env):
    waiter = sleeper.waiter if isinstance(sleeper.waiter, int) else spawn(sleeper.waiter, env)
    until(lambda: proc.stat(waiter)[0] == "S", "the waiter sleeps")
    time.sleep(0.02)  # past the page faults of its start
    begin = time.perf_counter()
    os.kill(sleeper.pid, signal.SIGKILL)
    until_ended(waiter)
    elapsed = (time.perf_counter() - begin) * 1e3
    reap(waiter)
    return elapsed


def reap(pid):
    """If it is a child of this process."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


LOOP = 'n=$0; while [ "$n" -gt 0 ]; do "$@" >/dev/null; n=$((n - 1)); done'


def per_second(command, env, shells, starts):
    """How many starts a second from so many shells at once."""
    begin = time.perf_counter()
    loops = [
        subprocess.Popen(["/bin/sh", "-c", LOOP, str(starts // shells), *command], env=env, stdin=subprocess.DEVNULL)
        for _ in range(shells)
    ]
    if any(loop.wait() for loop in loops):
        sys.exit(f"a loop of {command} failed")
    return starts / (time.perf_counter() - begin)


def idle(sleepers, seconds):
    """What each monitor costs while nothing happens: lists by name of private and proportional KiB, descriptors and
    wake-ups. `sleepers`: lists by name."""
    time.sleep(1)  # some tidy up after a start
    monitors = {name: list(dict.fromkeys(each.monitor for each in group)) for name, group in sleepers.items()}
    before = {pid: proc.switches(pid) for group in monitors.values() for pid in group}
    time.sleep(seconds)
    found = {}
    for name, group in monitors.items():
        wakeups = [proc.switches(pid) - before[pid] for pid in group]
        private, proportional = zip(*(proc.memory(pid) for pid in group))
        descriptors = [proc.descriptors(pid) for pid in group]
        found[name] = private, proportional, descriptors, wakeups
    return found
