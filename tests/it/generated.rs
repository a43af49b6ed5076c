//! Man pages and the help text in the README are made from the grammar and src/cli/texts, and checked in.
//! `PROCCTL_UPDATE=1 cargo test generated` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use procctl::cli::texts;

use crate::harness::{TestEnv, installed, skipped};
use crate::manpage;

#[test]
fn man_pages() {
    directory_holds("man", &pages());
}

#[test]
fn man_pages_are_clean() {
    if !installed("mandoc") {
        assert!(std::env::var_os("PROCCTL_TEST_ALL").is_none(), "mandoc is not installed");
        skipped("mandoc is not installed");
        return;
    }
    let env = TestEnv::new();
    let pages: Vec<PathBuf> = pages().iter().map(|(name, text)| env.file(name, text)).collect();
    let output = env.program("mandoc").args(["-T", "lint", "-W", "style"]).args(pages).output();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", output.stdout());
}

#[test]
fn help_in_the_readme() {
    const BEGIN: &str = "<!-- help:begin";
    const END: &str = "<!-- help:end -->";
    let path = repository().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the mark");
    let (remark, rest) = rest.split_once('\n').expect("a line");
    let (_, after) = rest.split_once(END).expect("the other mark");
    let help = procctl::cli::explained().term_width(100).render_help().to_string();
    let help: String = help.trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    let wanted = format!("{before}{BEGIN}{remark}\n```text\n{help}```\n{END}{after}");
    file_holds(&path, &wanted);
}

/// Every man page by its name.
fn pages() -> BTreeMap<String, String> {
    let grammar = grammar();
    let commands = grammar.get_subcommands().filter(|command| !command.is_hide_set());
    let mut pages = BTreeMap::from([manpage::of_the_record()]);
    for command in commands.chain([&grammar]) {
        let name = command.get_name();
        let text = texts::of(name).unwrap_or_else(|| panic!("src/cli/texts has nothing on {name}"));
        pages.extend([manpage::of_command(command, text)]);
    }
    assert!(pages.len() > 10, "a page for each command: {pages:?}");
    pages
}

/// The grammar for the pages: no value of the tests' environment, and every option with its help.
fn grammar() -> clap::Command {
    fn for_pages(command: clap::Command) -> clap::Command {
        let names: Vec<String> =
            command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let command = command.mut_args(|arg| arg.hide_env_values(true).hide_short_help(false));
        names.into_iter().fold(command, |command, name| command.mut_subcommand(name, for_pages))
    }
    for_pages(procctl::cli::explained())
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text files by name; none if there is no such directory.
fn read_directory(path: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(path) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

fn updating() -> bool {
    std::env::var_os("PROCCTL_UPDATE").is_some_and(|value| !value.is_empty())
}

fn file_holds(path: &PathBuf, wanted: &str) {
    if updating() {
        fs::write(path, wanted).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is not what grammar and texts say: PROCCTL_UPDATE=1 cargo test generated",
        path.display()
    );
}

/// The checked-in directory must hold these files and no others.
fn directory_holds(name: &str, wanted: &BTreeMap<String, String>) {
    let directory = repository().join(name);
    if updating() {
        fs::create_dir_all(&directory).unwrap();
        for stale in read_directory(&directory).keys() {
            if !wanted.contains_key(stale) {
                fs::remove_file(directory.join(stale)).unwrap();
            }
        }
    }
    for (file, text) in wanted {
        file_holds(&directory.join(file), text);
    }
    let found: Vec<String> = read_directory(&directory).into_keys().collect();
    let wanted: Vec<String> = wanted.keys().cloned().collect();
    assert_eq!(found, wanted, "in {}", directory.display());
}
