"""Those that need nothing that runs beforehand."""

import json
import os
import subprocess
import sys
import time

from .. import proc
from ..commands import spawn, until
from ..contender import Contender, Sleeper


class Bash(Contender):
    name = "bash &, wait"
    note = "bash: a new one for each, as a script is"
    wants = ("bash",)

    def start_command(self):
        return [self.paths["bash"], "-c", '"$0" &', self.paths["true"]]

    def run_command(self):
        return [self.paths["bash"], "-c", '"$0" & wait $!', self.paths["true"]]

    def sleeper(self):
        # The shell is the one that waits, and it would say that its child was killed.
        bash = spawn([self.paths["bash"], "-c", 'exec 2>/dev/null; "$0" 1000 & wait $!', self.paths["sleep"]], self.env)
        until(lambda: proc.children(bash), "bash has a child")
        return Sleeper(proc.children(bash)[0], bash, bash)


class Setsid(Contender):
    name = "setsid -f"
    wants = ("setsid",)

    def start_command(self):
        return [self.paths["setsid"], "-f", self.paths["true"]]


class StartStopDaemon(Contender):
    name = "start-stop-daemon"
    wants = ("start-stop-daemon",)

    def start_command(self):
        # It wants to know how to tell whether the program runs: a pid file that is not there says no.
        command = [self.paths["start-stop-daemon"], "--start", "--background", "--pidfile", str(self.work / "none")]
        return [*command, "--startas", self.paths["true"]]


class Daemonize(Contender):
    name = "daemonize"
    wants = ("daemonize",)

    def start_command(self):
        return [self.paths["daemonize"], self.paths["true"]]


# What conmon asks of a container runtime: start the process, write its pid.
RUNTIME = """#!/bin/sh
while [ "$1" != --pid-file ]; do shift; done
{command} &
echo $! >"$2"
"""


class Conmon(Contender):
    name = "conmon"
    note = "conmon: with a shell script of three lines as the container runtime; until it says the pid"
    wants = ("conmon",)

    def begin(self):
        self.count = 0
        for name in ("true", "sleep"):
            runtime = self.work / f"runtime-{name}"
            command = self.paths[name] + (" 1000" if name == "sleep" else "")
            runtime.write_text(RUNTIME.format(command=command))
            runtime.chmod(0o755)

    def start(self, runtime):
        """Milliseconds, pid of conmon and of the process."""
        self.count += 1
        name = f"c{self.count}"
        pid_file = self.work / f"{name}.conmon"
        command = [self.paths["conmon"], "-c", name, "-u", name, "-n", name, "-r", str(self.work / f"runtime-{runtime}")]
        command += ["-b", str(self.work), "-p", str(self.work / f"{name}.pid"), "-l", f"k8s-file:{self.work / name}.log"]
        command += ["-P", str(pid_file), "--persist-dir", str(self.work), "--full-attach"]
        told, tell = os.pipe()
        os.set_inheritable(tell, True)
        begin = time.perf_counter()
        first = spawn(command, self.env | {"_OCI_SYNCPIPE": str(tell)})
        os.close(tell)
        said = os.read(told, 4096)
        elapsed = (time.perf_counter() - begin) * 1e3
        os.waitpid(first, 0)
        os.close(told)
        pid = json.loads(said)["pid"]
        if pid < 0:
            sys.exit(f"conmon failed: {said}")
        return elapsed, int(pid_file.read_text()), pid

    def start_time(self):
        elapsed, self.last, _ = self.start("true")
        return elapsed

    def settle(self):
        until(lambda: not os.path.exists(f"/proc/{self.last}"), "conmon has ended")

    def sleeper(self):
        _, monitor, pid = self.start("sleep")
        return Sleeper(pid, monitor, monitor)


# Starts and joins processes as it is told, line by line.
INTERPRETER = """
import multiprocessing, os, sys, time
contexts = {name: multiprocessing.get_context(name) for name in ("fork", "spawn")}
for line in sys.stdin:
    join, method = line.split()
    process = contexts[method].Process(target=os.getpid)
    begin = time.perf_counter()
    process.start()
    if join == "join":
        process.join()
    print((time.perf_counter() - begin) * 1e3, flush=True)
    process.join()
"""
SLEEPER = """
import multiprocessing, os, time
process = multiprocessing.Process(target=time.sleep, args=(1000,))
process.start()
process.join()
os._exit(0)
"""


class Multiprocessing(Contender):
    name = "multiprocessing"
    note = "multiprocessing: from an interpreter that runs already, the process is a fork of it and executes no program"
    method = "fork"

    def begin(self):
        self.interpreter = subprocess.Popen(
            [sys.executable, "-c", INTERPRETER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env
        )

    def finish(self):
        self.interpreter.stdin.close()
        self.interpreter.wait()

    def ask(self, what):
        self.interpreter.stdin.write(f"{what} {self.method}\n")
        self.interpreter.stdin.flush()
        return float(self.interpreter.stdout.readline())

    def start_time(self):
        return self.ask("start")

    def run_time(self):
        return self.ask("join")

    def sleeper(self):
        python = spawn([sys.executable, "-c", SLEEPER], self.env)
        until(lambda: proc.children(python), "Python has a child")
        return Sleeper(proc.children(python)[0], python, python)
