"""What /proc tells of a process."""

import os
from pathlib import Path


def stat(pid):
    """The fields of /proc/PID/stat after the command name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def parent(pid):
    return int(stat(pid)[1])


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid):
    """KiB: private, and proportional, where a page that N processes share counts as an Nth."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split()[:2]
        sizes[name] = int(size)
    return sizes["Private_Clean:"] + sizes["Private_Dirty:"], sizes["Pss:"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def switches(pid):
    """How often it was given the processor, with all its threads."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt"))
    )
