"""Whatever can start a process in the background: the interface that is measured."""

import dataclasses
import os
import signal

from . import proc
from .commands import answer, program, timed, until_ended


@dataclasses.dataclass
class Sleeper:
    """A process that was started and does not end by itself."""

    pid: int
    # A command that returns when the process has ended, or the pid of a process that is waiting already.
    waiter: list | int | None = None
    # Who stands behind it.
    monitor: int | None = None

    def end(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        until_ended(self.pid)


class Contender:
    name = ""
    # What must be installed.
    wants = ()
    # Said below the tables.
    note = ""

    def __init__(self, work, env):
        self.work = work
        self.env = dict(env)
        self.paths = {name: program(name) for name in ("true", "sleep", "sh", *self.wants)}

    def missing(self):
        return [name for name in self.wants if not self.paths[name]]

    def begin(self):
        """Set-up that takes no part in any figure: a server, a configuration."""

    def finish(self):
        """Ends what `begin` began."""

    def start_command(self):
        """Starts `true` in the background; None: that is nothing to measure."""

    def start_time(self):
        """Milliseconds until the start of `true` in the background is done."""
        return timed(self.start_command(), self.env)

    def settle(self):
        """Untimed, after each start."""

    def run_command(self):
        """Starts `true` and returns when it has ended."""

    def sleeper(self):
        """A new Sleeper, or None."""


class Floor(Contender):
    def __init__(self, work, env, name, path):
        super().__init__(work, env)
        self.name, self.path = name, path
        self.log = str(work / "floor.log")

    def start_command(self):
        return [self.path, "start", self.log, self.paths["true"]]

    def long_command(self):
        return [self.path, "start", self.log, self.paths["sleep"], "1000"]

    def run_command(self):
        return [self.path, "run", self.paths["true"]]

    def sleeper(self):
        pid = int(answer(self.long_command(), self.env))
        return Sleeper(pid, [self.path, "wait", str(pid)], proc.parent(pid))


class Procctl(Contender):
    name = "procctl"

    def __init__(self, work, env, path):
        super().__init__(work, env)
        self.path = path

    def start_command(self):
        return [self.path, "start", "--", self.paths["true"]]

    def long_command(self):
        return [self.path, "start", "--", self.paths["sleep"], "1000"]

    def run_command(self):
        return [self.path, "run", "--", self.paths["true"]]

    def get(self, ref, field):
        return answer([self.path, "get", ref, field], self.env)

    def sleeper(self):
        ref = answer(self.long_command(), self.env)
        monitor = int(self.get(ref, "monitor.pid"))
        return Sleeper(int(self.get(ref, "pid")), [self.path, "join", ref], monitor)

    def quiet(self):
        """Ends what lives, and returns when every end is on record."""
        answer([self.path, "--quiet", "kill", "--all", "--wait"], self.env)
