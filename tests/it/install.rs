//! Installing: `tools/install`, and what the Debian package is made of.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{PROCCTL, TestEnv};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory, from there.
fn files_below(root: &Path) -> BTreeSet<String> {
    let files = crate::support::files_below(root);
    files.iter().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
}

/// The man pages of the repository, as `man1/procctl.1`.
fn man_pages() -> Vec<String> {
    let names = files_below(&repository().join("man"));
    names.iter().map(|name| format!("man{}/{name}", name.rsplit('.').next().unwrap())).collect()
}

#[test]
fn the_script_puts_everything_where_it_is_looked_for() {
    let env = TestEnv::new();
    let mut wanted = BTreeSet::from(
        [
            "bin/procctl",
            "share/bash-completion/completions/procctl",
            "share/zsh/site-functions/_procctl",
            "share/fish/vendor_completions.d/procctl.fish",
        ]
        .map(str::to_owned),
    );
    wanted.extend(man_pages().into_iter().map(|page| format!("share/man/{page}")));
    assert!(wanted.contains("share/man/man1/procctl.1"), "{wanted:?}");

    let install = |arguments: &[&str]| {
        env.program(repository().join("tools/install")).args(["--binary", PROCCTL]).args(arguments)
    };
    // A relative prefix is the caller's own. It is done twice: an older version is replaced.
    for _ in 0..2 {
        let said = install(&["a prefix"]).output().success();
        let prefix = env.path("a prefix");
        assert_eq!(files_below(&prefix), wanted);
        for line in said.lines() {
            assert!(Path::new(line).starts_with(&prefix) && Path::new(line).is_file(), "{line}");
        }
    }
    let installed = env.path("a prefix/bin/procctl");
    let version = env.program(&installed).arg("--version").output().success();
    assert_eq!(version, env.ok(["--version"]));
    let mode =
        |file: &str| fs::metadata(env.path("a prefix").join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/procctl"), mode("share/man/man1/procctl.1")), (0o755, 0o644));

    // For whoever makes a package.
    install(&["/usr"]).env("DESTDIR", env.path("stage")).output().success();
    assert_eq!(files_below(&env.path("stage/usr")), wanted);
    // Without a prefix: for oneself.
    install(&[]).output().success();
    assert_eq!(files_below(&env.path("home/.local")), wanted);
}

#[test]
fn the_script_refuses_what_it_does_not_know() {
    let env = TestEnv::new();
    for arguments in [&["--prefix=/usr"][..], &["a", "b"], &["--binary"]] {
        let output = env.program(repository().join("tools/install")).args(arguments).output();
        output.exits(2);
        assert!(output.stderr().starts_with("tools/install: "), "{output:?}");
    }
}

/// What `package.metadata.deb` says; cargo reads it without building anything.
fn deb_metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"][0]["metadata"]["deb"].clone()
}

#[test]
fn the_package_has_every_completion_and_every_man_page() {
    let deb = deb_metadata();
    let assets = deb["assets"].as_array().unwrap();
    let mut packed = BTreeSet::new();
    for asset in assets {
        let (source, target) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        // cargo-deb knows where the program is built.
        if source == "target/release/procctl" {
            assert_eq!((target, asset[2].as_str()), ("usr/bin/", Some("755")));
            continue;
        }
        let found = matching(source);
        assert!(!found.is_empty(), "{source} is not there");
        for file in found {
            if let Some(section) = file.strip_prefix("man/").and_then(|page| page.rsplit('.').next()) {
                assert_eq!(target, format!("usr/share/man/man{section}/"), "{file}");
            }
            packed.insert(file);
        }
    }
    for folder in ["completions", "man"] {
        for file in files_below(&repository().join(folder)) {
            assert!(packed.contains(&format!("{folder}/{file}")), "{folder}/{file} is not in the package");
        }
    }
    for file in [&deb["license-file"][0], &deb["changelog"]] {
        assert!(repository().join(file.as_str().unwrap()).is_file(), "{file}");
    }
}

/// The files that `FOLDER/*.EXTENSION`, or a plain path, stands for.
fn matching(source: &str) -> Vec<String> {
    let Some((folder, extension)) = source.split_once('*') else {
        return Vec::from_iter(repository().join(source).is_file().then(|| source.to_owned()));
    };
    let names = files_below(&repository().join(folder)).into_iter();
    names.filter(|name| name.ends_with(extension)).map(|name| format!("{folder}{name}")).collect()
}

#[test]
fn the_package_has_the_version_of_the_program() {
    let changelog: PathBuf = repository().join("packaging/debian/changelog");
    let first = fs::read_to_string(changelog).unwrap();
    let first = first.lines().next().unwrap();
    let version = concat!("procctl (", env!("CARGO_PKG_VERSION"), "-");
    assert!(first.starts_with(version), "{first}");
}
