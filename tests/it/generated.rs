//! Man pages and the help text in the README are made from the grammar and checked in.
//! `PROCCTL_UPDATE=1 cargo test generated` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn man_pages() {
    let mut grammar = grammar().disable_help_subcommand(true);
    grammar.build();
    let mut files = BTreeMap::from([man_page(&grammar)]);
    files.extend(grammar.get_subcommands().filter(|command| !command.is_hide_set()).map(man_page));
    assert!(files.len() > 10, "a page for each command: {files:?}");
    directory_holds("man", &files);
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
    let help = grammar().term_width(100).render_long_help().to_string();
    let help: String = help.trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    let wanted = format!("{before}{BEGIN}{remark}\n```text\n{help}```\n{END}{after}");
    file_holds(&path, &wanted);
}

/// The name and the text of the page of one command.
fn man_page(command: &clap::Command) -> (String, String) {
    let name = command.get_display_name().unwrap_or("procctl");
    let page = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        // An empty one would shift what follows; the day of generation would make each build another.
        .date(" ")
        .source(concat!("procctl ", env!("CARGO_PKG_VERSION")))
        .manual("procctl");
    let mut text = Vec::new();
    page.render(&mut text).unwrap();
    (page.get_filename(), String::from_utf8(text).unwrap())
}

/// The grammar, without what the tests' environment would add to it.
fn grammar() -> clap::Command {
    fn without_values(command: clap::Command) -> clap::Command {
        let names: Vec<String> =
            command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let command = command.mut_args(|arg| arg.hide_env_values(true));
        names.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_values))
    }
    without_values(procctl::cli::command())
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
        "{} is not what the grammar says: PROCCTL_UPDATE=1 cargo test generated",
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
