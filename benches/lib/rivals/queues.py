"""Queues of tasks."""

import os
import subprocess

from .. import proc
from ..commands import answer, until
from ..contender import Contender, Sleeper


class TaskSpooler(Contender):
    name = "task-spooler"
    note = "task-spooler, nq, pueue: a start is done when the task is in the queue"
    wants = ("tsp",)

    def begin(self):
        self.env |= {"TS_SOCKET": str(self.work / "tsp.socket"), "TS_SLOTS": "64", "TMPDIR": str(self.work)}
        answer([self.paths["tsp"], self.paths["true"]], self.env)

    def finish(self):
        answer([self.paths["tsp"], "-K"], self.env)

    def start_command(self):
        return [self.paths["tsp"], self.paths["true"]]

    def sleeper(self):
        job = answer([self.paths["tsp"], self.paths["sleep"], "1000"], self.env)
        pid = lambda: answer([self.paths["tsp"], "-p", job], self.env)
        until(lambda: pid() not in ("", "0", "-1"), "the job has a pid")
        return Sleeper(int(pid()), [self.paths["tsp"], "-w", job], proc.parent(int(pid())))


class Nq(Contender):
    name = "nq"
    wants = ("nq",)

    def begin(self):
        self.count = 0

    def fresh(self):
        """A queue of its own for each: within one, tasks wait for each other."""
        self.count += 1
        directory = self.work / f"nq{self.count}"
        directory.mkdir()
        self.env["NQDIR"] = str(directory)
        return directory

    def start_command(self):
        self.fresh()
        return [self.paths["nq"], self.paths["true"]]

    def sleeper(self):
        directory = self.fresh()
        answer([self.paths["nq"], self.paths["sleep"], "1000"], self.env)
        job = lambda: [file for file in os.listdir(directory) if file.startswith(",")]
        until(job, "nq made its file")
        # Its name is ,TIME.PID
        pid = int(job()[0].rsplit(".", 1)[1])
        return Sleeper(pid, [self.paths["nq"], "-w", job()[0]], proc.parent(pid))


class Pueue(Contender):
    name = "pueue"
    wants = ("pueue", "pueued")

    def begin(self):
        for directory in ("data", "runtime", "config/pueue"):
            (self.work / "pueue" / directory).mkdir(parents=True, mode=0o700)
        self.env |= {
            "XDG_DATA_HOME": str(self.work / "pueue/data"),
            "XDG_RUNTIME_DIR": str(self.work / "pueue/runtime"),
            "XDG_CONFIG_HOME": str(self.work / "pueue/config"),
        }
        null = subprocess.DEVNULL
        self.server = subprocess.Popen([self.paths["pueued"]], env=self.env, stdin=null, stdout=null, stderr=null)
        status = [self.paths["pueue"], "status"]
        until(lambda: subprocess.run(status, env=self.env, stdout=null, stderr=null).returncode == 0, "pueued answers")
        answer([self.paths["pueue"], "parallel", "64"], self.env)

    def finish(self):
        answer([self.paths["pueue"], "shutdown"], self.env)
        self.server.wait()

    def start_command(self):
        return [self.paths["pueue"], "add", "--", self.paths["true"]]

    def sleeper(self):
        before = set(proc.children(self.server.pid))
        job = answer([self.paths["pueue"], "add", "--print-task-id", "--immediate", "--", "exec sleep 1000"], self.env)
        new = lambda: [pid for pid in all_children(self.server.pid) if pid not in before and proc.stat(pid)[0] == "S"]
        until(new, "pueued has a child")
        return Sleeper(new()[0], [self.paths["pueue"], "wait", job], self.server.pid)


def all_children(pid):
    """Those of every thread."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as file:
            found += [int(child) for child in file.read().split()]
    return found
