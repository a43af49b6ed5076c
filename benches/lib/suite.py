"""What is measured, in order."""

import itertools
import os
import subprocess
import time

from . import measure, proc
from .commands import answer, timed
from .contender import Contender
from .results import Table

NOTHING = lambda: None


class Suite:
    def __init__(self, options, results, work, env, floors, procctl):
        self.options, self.results, self.work, self.env = options, results, work, env
        self.floors, self.procctl = floors, procctl
        self.base = floors[0].name
        self.records = 0

    def table(self, key, title, unit, base=None, records=None):
        return Table(key, title, unit, base or self.base, records=self.records if records is None else records)

    def interleaved(self, table, takers, rounds=None):
        for name, values in measure.interleaved(takers, rounds or self.options.rounds).items():
            table.add(name, values)
        self.results.add(table)

    def takes(self, contender, command):
        return lambda: timed(command, contender.env), NOTHING

    # Each part.

    def starts(self, others=()):
        """With the others in a table of its own: they leave cold caches to each other."""
        contenders = [*self.floors, self.procctl, *others]
        takers = {each.name: (each.start_time, each.settle) for each in contenders}
        key, title = ("others-start", "start of `true`, with others") if others else ("start", "start of `true`")
        self.interleaved(self.table(key, title, "ms"), takers)

    def long_starts(self):
        said = self.work / "pids"
        takers = {}
        for each in (*self.floors, self.procctl):
            takers[each.name] = (lambda each=each: timed(each.long_command(), each.env, said)), NOTHING
        self.interleaved(self.table("long", "start of `sleep 1000`", "ms"), takers)
        for word in said.read_text().split():
            if word.isdigit():
                os.kill(int(word), 9)
        said.unlink()
        self.procctl.quiet()

    def starts_at_once(self, count=50):
        """Several of one command: in one call, and in as many."""
        procctl = self.procctl
        command = [procctl.path, "start", "--count", str(count), "--", procctl.paths["true"]]
        calls, at_once = f"{count} calls", f"start --count {count}"
        takers = {
            calls: (lambda: sum(procctl.start_time() for _ in range(count)) / count, procctl.quiet),
            at_once: (lambda: timed(command, procctl.env) / count, procctl.quiet),
        }
        table = self.table("count", f"starts of `true`, {count} in a row: each", "ms", calls)
        self.interleaved(table, takers, max(5, self.options.rounds // 10))

    def runs(self, others=()):
        takers = {}
        for each in [*self.floors, self.procctl, *others]:
            if hasattr(each, "run_time"):
                takers[each.name] = each.run_time, NOTHING
            elif each.run_command():
                takers[each.name] = self.takes(each, each.run_command())
        key, more = ("others-run", ", with others") if others else ("run", "")
        self.interleaved(self.table(key, f"start of `true` and wait for its end{more}", "ms"), takers)

    def answers(self):
        procctl = self.procctl
        ended = answer([procctl.path, "start", "--name", "ended", "--", procctl.paths["true"]], procctl.env)
        answer([procctl.path, "join", ended], procctl.env)
        shell = "dash -c :" if os.path.exists("/bin/dash") else "sh -c :"
        commands = {
            shell: ["/bin/" + shell.split()[0], "-c", ":"],
            "join (ended)": [procctl.path, "join", ended],
            "get": [procctl.path, "get", ended, "exitcode"],
            "get by name": [procctl.path, "get", "ended", "exitcode"],
            "status REF": [procctl.path, "status", ended],
        }
        takers = {name: self.takes(procctl, command) for name, command in commands.items()}
        self.interleaved(self.table("answers", "answers about one process", "ms", shell), takers)

    def wakeups(self, others):
        table = self.table("wakeup", "from the end of a process to the return of what is blocked on it", "ms")
        for each in [*self.floors, self.procctl, *others]:
            times = measure.woken(each, max(5, self.options.rounds // 4))
            if times:
                table.add(each.name, times)
        self.results.add(table)

    def throughput(self, others):
        starts = self.options.rounds * 2
        # A fresh command each time, or one that takes a tenth of a second, is nothing for a loop.
        measured = self.results.find("others-start")
        quick = {row.name for row in measured.rows if row.median < 20} if measured else ()
        others = [each for each in others if each.name in quick and each.start_command()]
        for shells, title in ((1, "starts per second, in a row from one shell"), (8, "starts per second, from 8 shells at once")):
            table = self.table(f"throughput-{shells}", title, "per second")
            for each in [*self.floors, self.procctl, *others]:
                values = []
                for _ in range(3):
                    values.append(measure.per_second(each.start_command(), each.env, shells, starts))
                    time.sleep(0.3)
                table.add(each.name, values)
            self.results.add(table)

    def monitors(self, others):
        sleepers = {}
        try:
            for each in [*self.floors, self.procctl, *others]:
                for _ in range(5):
                    if sleeper := each.sleeper():
                        sleepers.setdefault(each.name, []).append(sleeper)
            found = measure.idle(sleepers, self.options.idle)
        finally:
            for sleeper in itertools.chain(*sleepers.values()):
                sleeper.end()
                if isinstance(sleeper.waiter, int):
                    measure.reap(sleeper.waiter)
            self.procctl.quiet()
        titles = (
            ("private", "private memory of who stands behind an idle process", "KiB"),
            ("proportional", "proportional memory of the same, of five alike", "KiB"),
            ("descriptors", "open descriptors of the same", ""),
            ("switches", f"wake-ups of the same in {self.options.idle} s", ""),
        )
        for at, (key, title, unit) in enumerate(titles):
            table = self.table(key, title, unit)
            for name, values in found.items():
                table.add(name, values[at])
            self.results.add(table)

    def clear(self):
        """Measuring leaves records behind, too."""
        answer([self.procctl.path, "--quiet", "close", "--all"], self.env, check=False)
        self.records = 0

    def grow(self, records):
        """Until there are so many, all of ended processes."""
        command = self.procctl.start_command()
        while self.records < records:
            shells = 8 if records - self.records >= 8 else 1
            measure.per_second(command, self.procctl.env, shells, (records - self.records) // shells * shells)
            self.count()
        self.procctl.quiet()
        time.sleep(2)  # the kernel still frees what was

    def count(self):
        self.records = int(answer([self.floors[0].path, "read", str(self.processes())], self.env).split()[0])

    def processes(self):
        return self.work / "run/processes"

    def listings(self):
        procctl, path = self.procctl, self.procctl.path
        takers = {
            f"{floor.name}: read them": self.takes(floor, [floor.path, "read", str(self.processes())]) for floor in self.floors
        }
        takers["status"] = self.takes(procctl, [path, "status"])
        takers["status --json"] = self.takes(procctl, [path, "status", "--json"])
        takers["status --alive"] = self.takes(procctl, [path, "status", "--alive"])
        base = next(iter(takers))
        rounds = max(5, min(self.options.rounds, 40000 // max(self.records, 1)))
        sleeper = procctl.sleeper()
        self.interleaved(self.table("listing", "`status` of all, one of them alive", "ms", base), takers, rounds)
        sleeper.end()
        procctl.quiet()

    def disk(self, work):
        """The same start where files are on a disk."""
        takers = {}
        env = self.env | {"PROCCTL_RUN_DIR": str(work / "run")}
        for floor in self.floors:
            command = [floor.path, "start", str(work / "log"), floor.paths["true"]]
            takers[floor.name] = self.takes(floor, command)
        command = self.procctl.start_command()
        takers[self.procctl.name] = (lambda: timed(command, env), NOTHING)
        self.interleaved(self.table("disk", f"start of `true`, files on {file_system(work)}", "ms", records=0), takers)
        answer([self.procctl.path, "--quiet", "kill", "--all", "--wait"], env)

    def live(self, count):
        """So many at once."""
        procctl = self.procctl
        table = self.table("live", f"{count:,} live processes", "ms", "")
        rate = measure.per_second(procctl.long_command(), procctl.env, 8, count)
        table.add("each start, from 8 shells at once", [1e3 / rate])
        table.add("status --alive", [timed([procctl.path, "status", "--alive"], procctl.env)])
        some = answer([procctl.path, "status", "--alive", "--format", "{monitor.pid}"], procctl.env).split()[:20]
        private, proportional = zip(*(proc.memory(monitor) for monitor in some))
        table.add("kill --all --wait", [timed([procctl.path, "--quiet", "kill", "--all", "--wait"], procctl.env)])
        self.results.add(table)
        table = self.table("live-memory", "of which a monitor has", "KiB", "")
        table.add("private memory", private)
        table.add("proportional memory", proportional)
        self.results.add(table)


def file_system(path):
    found = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()
    return {"ext2/ext3": "ext4"}.get(found, found or "disk")


def measures_start(contender):
    kind = type(contender)
    return kind.start_time is not Contender.start_time or kind.start_command is not Contender.start_command
