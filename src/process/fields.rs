//! The fields of a record, in words. A test compares the list with real records.

/// A field of the record, or of an object in it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, as `procctl get` takes it.
    pub path: &'static str,
    /// What kind of value it has.
    pub kind: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn field(path: &'static str, kind: &'static str, meaning: &'static str) -> Field {
    Field { path, kind, meaning }
}

/// All of them, those of an object after it.
pub const FIELDS: &[Field] = &[
    field("schema", "number", "Number of the form: 1. Within it fields are added, never renamed or removed"),
    field("id", "string", "Unique in the run directory, and never used again there"),
    field("name", "string", "Need not be unique"),
    field("state", "string", "initial, started or stopped"),
    field("pid", "number or null", "Process id; null before the start"),
    field(
        "exitcode",
        "number or null",
        "What it exited with, or -N if signal N ended it; null before the end, and if it is lost",
    ),
    field("daemon", "boolean", "Whether it gets SIGTERM when its parent ends"),
    field("identity", "array of numbers", "Its place in the family: [1,2] is the second child of the first"),
    field("parent", "object or null", "The creating process; null if that is outside of the PID namespace"),
    field("parent.pid", "number", "Process id of the parent"),
    field("parent.start_ticks", "number", "When the parent started, in clock ticks after boot"),
    field("parent.pidfd_inode", "number or null", "Inode of the parent's pidfd; null before Linux 6.9"),
    field("parent.id", "string or null", "Id of the parent; null if procctl did not start it"),
    field("parent.name", "string or null", "Name of the parent; null if procctl did not start it"),
    field("parent.started_at", "time", "When the parent started"),
    field("parent.key", "string", "The directory in parents/ that counts the parent's children"),
    field("command", "array of strings", "The command and its arguments"),
    field("cwd", "string", "Working directory at the start"),
    field("created_at", "time", "When it was recorded"),
    field("started_at", "time or null", "When it was started"),
    field("stopped_at", "time or null", "When it ended; null also if that is not known"),
    field("lost", "string or null", "Why the exit code of a process that has ended is not known (yet)"),
    field("stdin", "string", "Standard input: null, inherit or a path"),
    field("stdout", "string", "Standard output: log, null, inherit or a path"),
    field("stderr", "string", "Standard error: as stdout, or the word stdout for the same place"),
    field("sentinel", "string", "Path that can be read from without blocking once the end is on record"),
    field("log", "string or null", "Path of the log"),
    field(
        "usage",
        "object or null",
        "What it used, its waited-for descendants included; null before the end",
    ),
    field("usage.user_seconds", "number", "Processor time in the program"),
    field("usage.system_seconds", "number", "Processor time in the kernel"),
    field("usage.max_rss_bytes", "number", "Largest resident memory"),
    field("usage.minor_faults", "number", "Page faults without input or output"),
    field("usage.major_faults", "number", "Page faults with input or output"),
    field("usage.blocks_in", "number", "Blocks of 512 bytes read from devices"),
    field("usage.blocks_out", "number", "Blocks of 512 bytes written to devices"),
    field("usage.voluntary_switches", "number", "Context switches to wait for something"),
    field("usage.involuntary_switches", "number", "Context switches because its time was used up"),
    field("partial_usage", "object or null", "What of usage is known of a process whose monitor was killed"),
    field("partial_usage.user_seconds", "number", "As in usage"),
    field("partial_usage.system_seconds", "number", "As in usage"),
    field("partial_usage.minor_faults", "number", "As in usage"),
    field("partial_usage.major_faults", "number", "As in usage"),
    field("ended_by", "object or null", "The signal by procctl that explains the end"),
    field("ended_by.action", "string", "terminate, kill, interrupt or parent-exit"),
    field("ended_by.signal", "number", "Number of the signal"),
    field("ended_by.by_pid", "number", "The caller of procctl; for parent-exit the parent"),
    field("ended_by.at", "time", "When the signal was sent"),
    field("core_dumped", "boolean or null", "Whether it left a core dump; null before the end"),
    field("host", "string", "Name of the host"),
    field("boot_id", "string", "Id of the boot (/proc/sys/kernel/random/boot_id)"),
    field("monitor", "object or null", "The monitor; null before the start"),
    field("monitor.pid", "number", "Process id of the monitor, meaningful while it lives"),
    field("monitor.adopted", "boolean", "Whether it took the place of one that was killed"),
    field("start_ticks", "number or null", "When it started, in clock ticks after boot"),
    field("pidfd_inode", "number or null", "Inode of its pidfd; null before Linux 6.9"),
    field("pid_namespace", "number or null", "Inode of its PID namespace"),
    field("unique", "boolean", "Whether it was started with --unique"),
    field(
        "witness",
        "string or null",
        "How the end became known: monitor, pidfd (the monitor was gone, the kernel told) or nobody",
    ),
];
