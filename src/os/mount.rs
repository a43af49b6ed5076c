//! What is mounted where: the file system behind an open directory (proc_pid_mountinfo(5)).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its type: `ext4`, `tmpfs`, `nfs4`, `fuse.sshfs`…
    pub kind: String,
    /// Its own options, as `rw,hidepid=invisible`.
    pub options: String,
}

impl Mount {
    /// That behind an open descriptor. `None` if it is not to be seen from here.
    pub fn of(fd: impl AsFd) -> io::Result<Option<Self>> {
        let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
        let Some(id) = about.lines().find_map(|line| line.strip_prefix("mnt_id:")) else { return Ok(None) };
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        Ok(find(&String::from_utf8_lossy(&mounts), id.trim()))
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }
}

fn find(mounts: &str, id: &str) -> Option<Mount> {
    let line = mounts.lines().find(|line| line.split(' ').next() == Some(id))?;
    // Optional fields come before the dash. A dash alone is none of them, and spaces in paths are written `\040`.
    let mut rest = line.split(' ').skip_while(|&word| word != "-").skip(1);
    let kind = rest.next()?.to_owned();
    Some(Mount { kind, options: rest.nth(1)?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let mounts = "\
24 1 0:22 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible
241 1 254:0 / / rw - ext4 /dev/vda rw
25 24 0:30 / /a\\040b rw shared:1 master:2 - fuse.sshfs me@there:/ rw,user_id=0
";
        let found = find(mounts, "24").expect("found");
        assert_eq!((found.kind.as_str(), found.option("hidepid")), ("proc", Some("invisible")));
        assert_eq!((find(mounts, "241").expect("found").kind.as_str(), found.option("hide")), ("ext4", None));
        assert_eq!(find(mounts, "25").expect("found").kind, "fuse.sshfs");
        for (text, id) in [(mounts, "2"), ("", "1"), ("7 1 0:1 / / rw", "7"), ("7 1 0:1 / / rw - x", "7")] {
            assert_eq!(find(text, id), None);
        }
    }

    #[test]
    fn proc_is_mounted() {
        let proc = std::fs::File::open("/proc").expect("proc");
        assert_eq!(Mount::of(&proc).expect("read").expect("found").kind, "proc");
    }
}
