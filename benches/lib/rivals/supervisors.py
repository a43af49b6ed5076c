"""Supervisors: something runs beforehand, for each service or for all."""

import os
import subprocess
from pathlib import Path

from .. import proc
from ..commands import answer, spawn, timed, until
from ..contender import Contender, Sleeper


class Services(Contender):
    """A supervisor for each service, which has a directory with a program `run`."""

    def begin(self):
        self.count = 0
        self.supervisors = []

    def service(self, command):
        """The directory of a new one, whose supervisor is there and told to start nothing yet."""
        self.count += 1
        directory = self.work / f"service{self.count}"
        directory.mkdir()
        run = directory / "run"
        run.write_text(f"#!{self.paths['sh']}\nexec {command}\n")
        run.chmod(0o755)
        (directory / "down").touch()
        self.supervisors.append((spawn([self.paths[self.wants[0]], str(directory)], self.env), directory))
        self.until_there(directory)
        return str(directory)

    def start_time(self):
        service = self.service(f"{self.paths['sleep']} 1000")
        return self.timed_start(service)

    def settle(self):
        self.stop(*self.supervisors.pop())

    def stop(self, supervisor, directory):
        self.leave(str(directory))
        os.waitpid(supervisor, 0)

    def finish(self):
        while self.supervisors:
            self.stop(*self.supervisors.pop())


class S6(Services):
    name = "s6"
    note = "s6, runit: from a supervisor that runs already, until the service is up"
    wants = ("s6-supervise", "s6-svc", "s6-svwait", "s6-svstat")

    def until_there(self, directory):
        status = [self.paths["s6-svstat"], str(directory)]
        null = subprocess.DEVNULL
        until(lambda: subprocess.run(status, env=self.env, stdout=null, stderr=null).returncode == 0, "s6-supervise is there")

    def timed_start(self, service):
        return timed([self.paths["s6-svc"], "-wu", "-u", service], self.env)

    def leave(self, service):
        answer([self.paths["s6-svc"], "-xd", service], self.env)

    def sleeper(self):
        service = self.service(f"{self.paths['sleep']} 1000")
        # Once: it is not started again.
        answer([self.paths["s6-svc"], "-wu", "-o", service], self.env)
        supervisor = self.supervisors[-1][0]
        return Sleeper(proc.children(supervisor)[0], [self.paths["s6-svwait"], "-d", service], supervisor)


class Runsv(Services):
    name = "runit"
    wants = ("runsv", "sv")

    def until_there(self, directory):
        until(lambda: (directory / "supervise/ok").exists() and (directory / "supervise/stat").exists(), "runsv is there")

    def timed_start(self, service):
        return timed([self.paths["sv"], "start", service], self.env)

    def leave(self, service):
        answer([self.paths["sv"], "exit", service], self.env)

    def sleeper(self):
        service = self.service(f"{self.paths['sleep']} 1000")
        answer([self.paths["sv"], "once", service], self.env)
        supervisor = self.supervisors[-1][0]
        until(lambda: proc.children(supervisor), "runsv has a child")
        return Sleeper(proc.children(supervisor)[0], None, supervisor)


CONFIGURATION = """
[supervisord]
logfile={work}/supervisord.log
pidfile={work}/supervisord.pid
[unix_http_server]
file={work}/supervisord.socket
[supervisorctl]
serverurl=unix://{work}/supervisord.socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:sleeper]
command={sleep} 1000
autostart=false
autorestart=false
startsecs=0
"""


class Supervisord(Contender):
    name = "supervisord"
    wants = ("supervisord", "supervisorctl")

    def begin(self):
        self.file = self.work / "supervisord.conf"
        self.file.write_text(CONFIGURATION.format(work=self.work, sleep=self.paths["sleep"]))
        self.server = spawn([self.paths["supervisord"], "--nodaemon", "-c", str(self.file)], self.env)
        until((self.work / "supervisord.socket").exists, "supervisord is there")

    def control(self, *words):
        return [self.paths["supervisorctl"], "-c", str(self.file), *words]

    def finish(self):
        answer(self.control("shutdown"), self.env)
        os.waitpid(self.server, 0)

    def start_command(self):
        return self.control("start", "sleeper")

    def settle(self):
        answer(self.control("stop", "sleeper"), self.env)

    def sleeper(self):
        if not proc.children(self.server):
            answer(self.control("start", "sleeper"), self.env)
        return Sleeper(proc.children(self.server)[0], None, self.server)


class SystemdRun(Contender):
    name = "systemd-run"
    wants = ("systemd-run",)

    def missing(self):
        # It speaks to the systemd that runs.
        return super().missing() or ([] if Path("/run/systemd/system").is_dir() else ["running systemd"])

    def start_command(self):
        return [self.paths["systemd-run"], "--quiet", "--collect", *([] if os.geteuid() == 0 else ["--user"]), self.paths["true"]]

    def run_command(self):
        return [*self.start_command()[:-1], "--wait", self.paths["true"]]
