//! The program, and whether shells and man(1) find what belongs to it, in the places where they look.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::process::text::Text;

/// What is installed. For a shell that is not there, nothing is looked for.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    /// This program.
    pub program: Option<Text>,
    /// What the name `procctl` means in `PATH`.
    pub in_path: Option<Text>,
    /// Whether that is this program.
    pub is_in_path: bool,
    /// For each shell that is installed.
    pub completions: Vec<Completions>,
    /// The man page, if it is found.
    pub man_page: Option<Text>,
}

/// The completions for a shell.
#[derive(Clone, Debug, Serialize)]
pub struct Completions {
    /// The shell.
    pub shell: &'static str,
    /// The file, if it is found.
    pub path: Option<Text>,
    /// Whether the shell looks there unasked.
    pub is_looked_at: bool,
}

impl Completions {
    /// Those in the first of the places that has them: where the shell looks, or beyond that.
    fn examine(shell: &'static str, places: Vec<PathBuf>, beyond: Vec<PathBuf>) -> Self {
        let first = |places: Vec<PathBuf>| places.into_iter().find(|path| path.is_file());
        let found = first(places);
        let is_looked_at = found.is_some();
        Self { shell, path: found.or_else(|| first(beyond)).map(Text::from), is_looked_at }
    }
}

impl Installed {
    pub(super) fn examine() -> Self {
        let program = std::env::current_exe().ok();
        let in_path = find_program("procctl");
        let shells = [
            Completions::examine("bash", bash(), Vec::new()),
            Completions::examine("zsh", zsh(), below(data(), "zsh/site-functions/_procctl")),
            Completions::examine("fish", fish(), Vec::new()),
        ];
        Self {
            is_in_path: program.as_deref().zip(in_path.as_deref()).is_some_and(|(a, b)| is_same(a, b)),
            program: program.map(Text::from),
            in_path: in_path.map(Text::from),
            completions: shells.into_iter().filter(|found| find_program(found.shell).is_some()).collect(),
            man_page: man_page().map(Text::from),
        }
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((file(a), file(b)), (Ok(a), Ok(b)) if a == b)
}

/// The directories in a variable like `PATH`.
fn paths(variable: &str) -> Vec<PathBuf> {
    let value = std::env::var_os(variable).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| path.is_absolute()).collect()
}

fn find_program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    paths("PATH").into_iter().map(|directory| directory.join(name)).find(is_program)
}

/// A directory of the user's own, as the XDG specification has it.
fn own(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

/// Where data is looked for, the user's own first.
fn data() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = own("XDG_DATA_HOME", ".local/share").into_iter().collect();
    found.extend(match paths("XDG_DATA_DIRS") {
        none if none.is_empty() => vec!["/usr/local/share".into(), "/usr/share".into()],
        some => some,
    });
    found
}

fn below(directories: impl IntoIterator<Item = PathBuf>, file: &str) -> Vec<PathBuf> {
    directories.into_iter().map(|directory| directory.join(file)).collect()
}

/// Where bash-completion looks.
fn bash() -> Vec<PathBuf> {
    let mut found = below(paths("BASH_COMPLETION_USER_DIR"), "completions/procctl");
    found.extend(below(data(), "bash-completion/completions/procctl"));
    found
}

/// Where zsh looks by default: what else is in its `fpath`, only it knows.
fn zsh() -> Vec<PathBuf> {
    let mut found = below(paths("FPATH"), "_procctl");
    for data in ["/usr/local/share", "/usr/share"] {
        for folder in ["zsh/site-functions", "zsh/vendor-completions"] {
            found.push(Path::new(data).join(folder).join("_procctl"));
        }
    }
    found
}

/// Where fish looks.
fn fish() -> Vec<PathBuf> {
    let mut found = below(own("XDG_CONFIG_HOME", ".config"), "fish/completions/procctl.fish");
    found.push("/etc/fish/completions/procctl.fish".into());
    found.extend(below(data(), "fish/vendor_completions.d/procctl.fish"));
    found
}

/// Where man(1) looks: in `MANPATH`, or beside the directories of `PATH`, and where systems have their own.
fn man_page() -> Option<PathBuf> {
    let mut places = paths("MANPATH");
    for program in paths("PATH") {
        if let Some(prefix) = program.parent().filter(|_| program.file_name() == Some(OsStr::new("bin"))) {
            places.extend([prefix.join("man"), prefix.join("share/man")]);
        }
    }
    places.extend(["/usr/local/share/man".into(), "/usr/share/man".into()]);
    let pages = ["procctl.1", "procctl.1.gz", "procctl.1.xz", "procctl.1.zst", "procctl.1.bz2"];
    let of = |place: PathBuf| pages.map(|page| place.join("man1").join(page));
    places.into_iter().flat_map(of).find(|page| page.is_file())
}
