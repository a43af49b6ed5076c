"""System calls of one command, from a trace of strace -f, by phase."""

import re

CALL = re.compile(r"[a-z_0-9]+\(")
EXECUTED = re.compile(r"(execve\(|<\.\.\. execve resumed>).*= 0$")
FORKS = ("fork(", "vfork(", "clone(", "clone3(")
# What a monitor waits in for its process.
SLEEPS = ("poll(", "ppoll(", "wait4(")

BEFORE = "before the fork"
AFTER = "after the fork"
CHILD = "child until exec"
MONITOR = "monitor until it waits"
END = "monitor at the end"


def system_calls(trace):
    """How many in each phase. What a program does that a child has executed is not procctl's, and does not count."""
    lines = [line.split(None, 1) for line in trace.splitlines()]
    command = lines[0][0]
    children = {pid for pid, what in lines if pid != command and EXECUTED.match(what)}
    counts = dict.fromkeys((BEFORE, AFTER, CHILD, MONITOR, END), 0)
    forked, waiting, executed = set(), set(), set()
    for pid, what in lines[1:]:  # the first line is the exec of the command itself
        if CALL.match(what) and pid not in executed:
            if pid == command:
                counts[AFTER if pid in forked else BEFORE] += 1
            elif pid in children:
                counts[CHILD] += 1
            else:
                counts[END if pid in waiting else MONITOR] += 1
        if what.startswith(FORKS):
            forked.add(pid)
        if pid in forked and what.startswith(SLEEPS):
            waiting.add(pid)
        if pid in children and EXECUTED.match(what):
            executed.add(pid)
    return {phase: count for phase, count in counts.items() if count}
