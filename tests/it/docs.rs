//! The README and the examples are run as they stand: what they say is what happens.
//!
//! The blocks under one heading are one shell session in a run directory of their own, as if pasted one after the
//! other. A `text` block after a command block is what the commands print, stdout and stderr together. In it `…`
//! stands for any words, or for any lines if it is alone; times are samples, and so are ids and pids, which only have to
//! stand for the same process everywhere.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Output, PROCCTL, TestEnv, eventually, installed, python, skipped};

/// The examples, in order of name. Each has a test below.
const EXAMPLES: [&str; 4] = ["family.sh", "fan-out.sh", "tour.sh", "web-server.sh"];

const README: &str = "README.md";

/// How long a session or an example may take.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn readme_set_up() {
    let env = environment();
    // The tests can't build the program they are part of: cargo only writes down what it is asked for.
    // `.ci/run` runs both commands with the real one.
    let cargo = env.path("bin/cargo");
    fs::write(&cargo, "#!/bin/sh\necho \"$*\" >>\"$HOME/cargo\"\n").unwrap();
    make_executable(&cargo);
    fs::create_dir_all(env.path("checkout/target/release")).unwrap();
    symlink(crate::harness::PROCCTL, env.path("checkout/target/release/procctl")).unwrap();

    for section in sections("Set-up") {
        run_session(&env, &section);
    }
    let asked = fs::read_to_string(env.path("home/cargo")).unwrap();
    assert_eq!(asked, "build --release\ntest\n");
}

#[test]
fn readme_tour() {
    for section in sections("A tour of five minutes") {
        run_session(&environment(), &section);
    }
}

#[test]
fn readme_recipes() {
    for section in sections("Recipes") {
        run_session(&environment(), &section);
    }
}

/// What `--help` and the man pages show.
#[test]
fn examples_of_the_texts() {
    let mut run = 0;
    for entry in fs::read_dir(repository().join("src/cli/texts")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "mod.rs" {
            continue;
        }
        for section in parse(&format!("src/cli/texts/{name}")) {
            if !section.blocks.is_empty() {
                run_session(&environment(), &section);
                run += 1;
            }
        }
    }
    assert!(run > 10, "only {run} were run");
}

#[test]
fn readme_has_no_block_that_is_not_run() {
    let run = ["Set-up", "A tour of five minutes", "Recipes"];
    for section in parse(README) {
        assert!(
            section.blocks.is_empty() || run.contains(&section.chapter.as_str()),
            "nobody runs the blocks under {:?}",
            section.title
        );
    }
}

#[test]
fn readme_names_every_field_of_the_record() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    env.join(&id);
    let record = env.record(&id);
    let there: BTreeSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();

    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, chapter) = readme.split_once("\n## The record\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let named: BTreeSet<&str> = chapter
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "))
        .flat_map(|(fields, _)| fields.split(", "))
        .map(|field| field.trim_matches('`'))
        .collect();
    assert_eq!(named, there);
}

#[test]
fn every_example_is_run() {
    let there: BTreeSet<String> = fs::read_dir(repository().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, EXAMPLES.map(str::to_owned).into());
}

#[test]
fn example_tour() {
    let said = example(&environment(), "tour.sh", &[]).success();
    for line in [
        "created: state                               initial",
        "terminated: exitcode, as in Python           -15",
        "  check: exit code 1: ",
        "watch: who ended it                          interrupt",
        "deaf: exit code                              -9",
        "records after close --all                    []",
    ] {
        assert!(said.contains(line), "no {line:?} in:\n{said}");
    }
}

#[test]
fn example_web_server() {
    if missing(&["curl"]) {
        return;
    }
    let said = example(&environment(), "web-server.sh", &[]).success();
    for line in ["3 files fetched, all the same", "requests in the log: 3", "web ended with 0"] {
        assert!(said.contains(line), "no {line:?} in:\n{said}");
    }
}

#[test]
fn example_fan_out() {
    let env = environment();
    let files: Vec<PathBuf> = fs::read_dir(repository().join("tests/it"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    let packed = env.path("packed");
    let mut args = vec!["-j", "3", packed.to_str().unwrap()];
    args.extend(files.iter().map(|path| path.to_str().unwrap()));

    let said = example(&env, "fan-out.sh", &args).success();
    assert_eq!(said, format!("{} compressed, 0 failed", files.len()));
    for file in &files {
        let name = file.to_str().unwrap().replace('/', "_") + ".gz";
        let unpacked = env.program("gzip").args(["-d", "-c"]).arg(packed.join(name)).output();
        assert_eq!(unpacked.exits(0).stdout, fs::read(file).unwrap());
    }

    args.insert(3, "/no/such/file");
    let output = example(&env, "fan-out.sh", &args);
    assert_eq!(output.exits(1).stdout(), format!("{} compressed, 1 failed", files.len()));
    let why = output.stderr();
    assert!(why.starts_with("failed (1): /no/such/file: "), "{why}");
}

#[test]
fn example_family() {
    let said = example(&environment(), "family.sh", &[]).success();
    for line in [
        "I am service, my parent is pid ",
        "shipper, daemonic: join exits with 143, ended by parent-exit",
        "export, not daemonic: alive",
        "apple fig pear",
        "its parent was service",
        "daemonic processes are not allowed to have children",
        "refused with 125",
        "run exits with 3, as the main program did",
        "worker: 0, ticker: -15",
    ] {
        assert!(said.contains(line), "no {line:?} in:\n{said}");
    }
}

/// A test environment in which README and examples find what they use.
fn environment() -> TestEnv {
    let env = TestEnv::new();
    symlink(python(), env.path("bin/python3")).unwrap();
    let checkout = env.path("checkout");
    fs::create_dir(&checkout).unwrap();
    symlink(repository().join("examples"), checkout.join("examples")).unwrap();
    env
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Is one of the programs not installed? Where `PROCCTL_TEST_ALL` is set, that is a failure.
fn missing(programs: &[&str]) -> bool {
    let Some(program) = programs.iter().find(|program| !installed(program)) else {
        return false;
    };
    assert!(std::env::var_os("PROCCTL_TEST_ALL").is_none(), "{program} is not installed");
    skipped(&format!("{program} is not installed"));
    true
}

/// Runs an example to its end, after which it has left nothing behind.
fn example(env: &TestEnv, name: &str, args: &[&str]) -> Output {
    let output = env.program(repository().join("examples").join(name)).args(args).deadline(DEADLINE).output();
    nothing_is_left(env, name);
    let files: Vec<String> = fs::read_dir(env.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|file| file.starts_with("tmp."))
        .collect();
    assert!(files.is_empty(), "{name} left {files:?}");
    output
}

/// Monitors and daemonic processes end a moment after the script.
fn nothing_is_left(env: &TestEnv, what: &str) {
    eventually(&format!("{what} leaves no process behind"), || env.os_processes().is_empty().then_some(()));
}

/// What stands under one heading.
struct Section {
    /// The file that it is in.
    file: String,
    /// The second-level heading above it.
    chapter: String,
    title: String,
    blocks: Vec<Block>,
}

/// Commands, and what they print if that is told.
struct Block {
    line: usize,
    python: bool,
    commands: String,
    printed: Option<String>,
}

fn parse(file: &str) -> Vec<Section> {
    let text = fs::read_to_string(repository().join(file)).unwrap();
    let mut sections: Vec<Section> = Vec::new();
    let mut chapter = String::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(title) = line.strip_prefix("### ").or_else(|| line.strip_prefix("## ")) {
            if !line.starts_with("###") {
                title.clone_into(&mut chapter);
            }
            sections.push(Section {
                file: file.to_owned(),
                chapter: chapter.clone(),
                title: title.to_owned(),
                blocks: Vec::new(),
            });
        } else if let Some(commands) =
            line.strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            // What has to be done before or after the commands that are shown.
            sections.last_mut().expect("a block under a heading").blocks.push(Block {
                line: number,
                python: false,
                commands: format!("{commands}\n"),
                printed: None,
            });
        } else if let Some(language) = line.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .map(|(line, _)| line)
                .take_while(|line| *line != "```")
                .flat_map(|line| [line, "\n"])
                .collect();
            let blocks = &mut sections.last_mut().expect("a block under a heading").blocks;
            match language {
                "sh" | "python" => blocks.push(Block {
                    line: number,
                    python: language == "python",
                    commands: text,
                    printed: None,
                }),
                // The help text has no commands before it: another test writes and compares it.
                "text" => {
                    if let Some(block) = blocks.last_mut() {
                        assert!(block.printed.is_none(), "{file}:{number}: whose output?");
                        block.printed = Some(text);
                    }
                }
                other => panic!("{file}:{number}: what is a block of {other:?}?"),
            }
        }
    }
    sections
}

/// The sections of a chapter that have something to run.
fn sections(chapter: &str) -> Vec<Section> {
    let found: Vec<Section> = parse(README)
        .into_iter()
        .filter(|section| section.chapter == chapter && !section.blocks.is_empty())
        .collect();
    assert!(!found.is_empty(), "no {chapter:?} in the README");
    found
}

fn run_session(env: &TestEnv, section: &Section) {
    let uses_curl = section.blocks.iter().any(|block| block.commands.contains("curl "));
    if uses_curl && missing(&["curl"]) {
        return;
    }
    let mut script = String::from("set -eu\nexec 2>&1\n");
    for block in &section.blocks {
        script.push_str("echo '<<<block>>>'\n");
        if block.python {
            script.push_str("python3 - <<'END_OF_BLOCK'\n");
            script.push_str(&block.commands);
            script.push_str("END_OF_BLOCK\n");
        } else {
            script.push_str(&block.commands);
        }
    }
    let file = env.file("session", script);
    let output = env.program("bash").arg(file).cwd(env.path("checkout")).deadline(DEADLINE).output();
    let said = output.success() + "\n";
    nothing_is_left(env, &format!("{}, {}", section.file, section.title));

    let known: BTreeSet<String> = env
        .status()
        .iter()
        .flat_map(|record| [&record["id"], &record["pid"], &record["parent"]["pid"], &record["parent"]["id"]])
        .filter(|value| !value.is_null())
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    let mut samples = HashMap::new();
    // Before the first marker there is nothing.
    for (block, said) in section.blocks.iter().zip(said.split("<<<block>>>\n").skip(1)) {
        let Some(printed) = &block.printed else {
            assert!(
                !said.contains("procctl: "),
                "{}:{}: an error that is not told:\n{said}",
                section.file,
                block.line
            );
            continue;
        };
        let wanted = ordered(printed);
        let got = ordered(said);
        assert!(
            same_lines(&wanted, &got, &known, &mut samples),
            "{}:{}: there it says\n{printed}\nand procctl says\n{said}",
            section.file,
            block.line
        );
    }
}

/// The lines, and where logs stand side by side those of one process after those of the other: they come as they were written.
fn ordered(text: &str) -> Vec<&str> {
    let process = |line: &&str| line.split_once(" | ").map(|(name, _)| name.trim_end().to_owned());
    let mut lines: Vec<&str> = text.lines().collect();
    for logs in lines.chunk_by_mut(|one, next| process(one).is_some() && process(next).is_some()) {
        logs.sort_by_key(process);
    }
    lines
}

fn same_lines(
    wanted: &[&str],
    got: &[&str],
    known: &BTreeSet<String>,
    samples: &mut HashMap<String, String>,
) -> bool {
    match (wanted, got) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=got.len()).any(|skip| {
            let mut tried = samples.clone();
            let same = same_lines(rest, &got[skip..], known, &mut tried);
            if same {
                *samples = tried;
            }
            same
        }),
        ([line, wanted @ ..], [said, got @ ..]) => {
            same_line(line, said, known, samples) && same_lines(wanted, got, known, samples)
        }
        _ => false,
    }
}

fn same_line(
    wanted: &str,
    got: &str,
    known: &BTreeSet<String>,
    samples: &mut HashMap<String, String>,
) -> bool {
    let mut words = got.split_whitespace();
    let mut wanted = wanted.split_whitespace().peekable();
    while let Some(word) = wanted.next() {
        if word == "…" {
            // Any words up to one that fits the rest of the line.
            let rest: Vec<&str> = wanted.collect();
            let left: Vec<&str> = words.collect();
            return left.len() >= rest.len()
                && rest
                    .iter()
                    .zip(&left[left.len() - rest.len()..])
                    .all(|(word, said)| same_word(word, said, known, samples));
        }
        let Some(said) = words.next() else {
            return false;
        };
        if !same_word(word, said, known, samples) {
            return false;
        }
    }
    words.next().is_none()
}

fn same_word(
    wanted: &str,
    got: &str,
    known: &BTreeSet<String>,
    samples: &mut HashMap<String, String>,
) -> bool {
    if is_time(wanted) && is_time(got) {
        return true;
    }
    let (Some(wanted), Some(got)) = (bare(wanted), bare(got)) else {
        return wanted == got;
    };
    wanted == got
        || known.contains(got) && samples.entry(wanted.to_owned()).or_insert_with(|| got.to_owned()) == got
}

/// Something like `0.2s`.
fn is_time(word: &str) -> bool {
    word.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok())
}

/// An id or a pid, without the punctuation around it.
fn bare(word: &str) -> Option<&str> {
    let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
    (!word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric())).then_some(word)
}

/// The picture in the README is drawn from what the program prints; it is not compared, for ids and pids differ.
#[test]
fn the_picture_can_be_drawn_anew() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(fs::read_to_string(root.join("README.md")).unwrap().contains("(docs/status.svg)"));
    let env = TestEnv::new();
    let drawn = env.path("status.svg");
    let draw = env.program(python()).arg(root.join("tools/picture")).arg(PROCCTL).arg(&drawn);
    assert_eq!(draw.output().success(), "");
    for picture in [drawn, root.join("docs/status.svg")] {
        let parse = "import sys, xml.etree.ElementTree as tree; print(''.join(tree.parse(sys.argv[1]).getroot().itertext()))";
        let text = env.python(parse).arg(&picture).output().success();
        for word in ["procctl status", "crawler", "stopped[SIGTERM]", "stopped[3]", "initial"] {
            assert!(text.contains(word), "{word} is not in {}: {text}", picture.display());
        }
    }
}

/// docs/guarantees.md names the tests that would fail: they must be there.
#[test]
fn every_test_that_the_guarantees_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let mut named = 0;
    // Between backquotes: `module::the_beginning_of_a_name…`, or `module::*`.
    for word in text.split('`').skip(1).step_by(2) {
        let Some((module, test)) = word.split_once("::").filter(|(module, _)| *module != "module") else {
            continue;
        };
        if (module, test) == ("faults", "scene") {
            continue;
        }
        let file = match module {
            "faults" => "tests/faults/scenes.rs".to_owned(),
            module => format!("tests/it/{module}.rs"),
        };
        let source = fs::read_to_string(root.join(&file)).unwrap_or_else(|e| panic!("{word}: {file}: {e}"));
        let (begin, end) = test.split_once(['…', '*']).unwrap_or((test, "("));
        let is_named = |line: &str| {
            line.strip_prefix("fn ").is_some_and(|name| name.starts_with(begin) && name.contains(end))
        };
        assert!(source.lines().any(is_named), "{word} is not in {file}");
        named += 1;
    }
    assert!(named > 30, "only {named} tests are named");
}
