//! §4: the authkey is a secret of the family. It is inherited, it can be set, and it is nowhere but in private files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::harness::TestEnv;
use crate::support::{files_below, record_file, said_inside};

const PRINT_KEY: &str = "procctl get @self authkey";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "not hex: {text:?}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

/// Is the key in there, as it is or in hex?
fn tells_key(bytes: &[u8], key: &str) -> bool {
    contains(bytes, &unhex(key)) || contains(&bytes.to_ascii_lowercase(), key.to_ascii_lowercase().as_bytes())
}

#[test]
fn it_is_32_random_bytes_in_hex() {
    let [one, other] = [TestEnv::new(), TestEnv::new()].map(|env| said_inside(&env, &[], PRINT_KEY));
    assert_eq!(unhex(&one).len(), 32, "{one}");
    assert_ne!(one, other);
    assert!(unhex(&one).iter().any(|&byte| byte != 0));
}

#[test]
fn all_descendants_of_an_outside_parent_have_the_same() {
    let env = TestEnv::new();
    let first = said_inside(&env, &[], PRINT_KEY);
    let second = said_inside(&env, &["-d"], PRINT_KEY);
    let nested = said_inside(
        &env,
        &[],
        r#"id=$(procctl start -- bash -c 'procctl get @self authkey; :'); procctl join "$id"; procctl logs "$id""#,
    );
    let created = env.ok(["create", "--", "bash", "-c", "procctl get @self authkey; :"]);
    env.ok(["start", &created]);
    assert_eq!(env.join(&created), 0);
    assert_eq!([&second, &nested, &env.ok(["logs", &created])], [&first; 3]);
}

#[test]
fn children_that_are_the_first_at_once_have_the_same() {
    let env = TestEnv::new();
    let script = "
        for i in $(seq 16); do procctl start -n key -- bash -c 'procctl get @self authkey; :' >/dev/null & done
        wait; procctl join
        procctl status --children --json > children";
    assert_eq!(env.bash(script).output().success(), "");
    let children: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(env.path("children")).unwrap()).unwrap();
    let log = |child: &serde_json::Value| env.ok(["logs", child["id"].as_str().unwrap()]);
    let mut keys: Vec<String> = children.iter().map(log).collect();
    assert_eq!(keys.len(), 16);
    keys.dedup();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn another_outside_parent_has_another() {
    let env = TestEnv::new();
    let mine = said_inside(&env, &[], PRINT_KEY);
    let script = r#"id=$(procctl start -- bash -c 'procctl get @self authkey; :'); procctl join "$id"; procctl logs "$id""#;
    let others = env.bash(script).output().success();
    assert_eq!(unhex(&others).len(), 32, "{others}");
    assert_ne!(mine, others);
}

#[test]
fn a_file_sets_it_for_the_process_and_its_descendants() {
    let env = TestEnv::new();
    // The bytes as they are: a final newline, a NUL and what is no UTF-8 included.
    let secret = b"key \x00\xff\n";
    let file = env.file("secret", secret);
    let nested = r#"
        procctl get @self authkey
        id=$(procctl start -- bash -c 'procctl get @self authkey; :'); procctl join "$id"; procctl logs "$id""#;
    let said = said_inside(&env, &["--authkey-file", file.to_str().unwrap()], nested);
    assert_eq!(said, format!("{0}\n{0}", hex(secret)));
    // It is not the family's: a sibling has what it would have had.
    assert_eq!(unhex(&said_inside(&env, &[], PRINT_KEY)).len(), 32);
}

#[test]
fn it_can_be_set_until_the_start() {
    let env = TestEnv::new();
    let file = env.file("secret", "another key");
    let setting = format!("authkey-file={}", file.display());
    let id = env.ok(["create", "--", "bash", "-c", "procctl get @self authkey; sleep 1000"]);
    env.ok(["set", &id, &setting]);
    // It was read when it was set.
    fs::remove_file(&file).unwrap();
    env.ok(["start", &id]);
    let said = crate::harness::eventually("the key is said", || {
        let said = env.ok(["logs", &id]);
        (!said.is_empty()).then_some(said)
    });
    assert_eq!(said, hex(b"another key"));
    env.file("secret", "too late");
    env.refused(["set", &id, &setting], 125, &["authkey"]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_name() {
    let env = TestEnv::new();
    env.refused(["start", "--authkey-file", "/no/such/key", "--", "true"], 125, &["/no/such/key"]);
    let id = env.ok(["create", "--", "true"]);
    env.refused(["set", &id, "authkey-file=/no/such/key"], 125, &["/no/such/key"]);
    assert_eq!(env.status().len(), 1);
}

#[test]
fn a_key_is_never_an_argument() {
    let env = TestEnv::new();
    env.refused(["start", "--authkey", "00", "--", "true"], 125, &["--authkey"]);
    let id = env.ok(["create", "--", "true"]);
    env.refused(["set", &id, "authkey=00"], 125, &["authkey"]);
}

#[test]
fn it_is_nowhere_but_in_a_private_file() {
    let env = TestEnv::new();
    let script = env.file("script", "procctl get @self authkey > key.new; mv key.new key; exec sleep 1000");
    // Not even a careless umask makes a file of it readable to others.
    let start = format!("umask 0; procctl start -- bash {}", script.display());
    let id = env.bash(&start).output().success();
    let key = crate::harness::eventually("the key is known", || {
        let key = fs::read_to_string(env.path("key")).ok()?;
        Some(key.trim().to_owned())
    });
    assert_eq!(unhex(&key).len(), 32);

    let mut kept = 0;
    for file in files_below(&env.run_dir()) {
        let meta = fs::metadata(&file).unwrap();
        assert_eq!(meta.mode() & 0o077, 0, "open to others: {}", file.display());
        if tells_key(&fs::read(&file).unwrap_or_default(), &key) {
            kept += 1;
            assert_eq!(meta.mode() & 0o7777, 0o600, "{}", file.display());
            assert_ne!(file, record_file(&env, &id));
        }
    }
    assert!(kept > 0, "the key must be kept in some file");

    for pid in [env.pid(&id), env.monitor_pid(&id)] {
        for page in ["environ", "cmdline"] {
            let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join(page)).unwrap();
            assert!(!tells_key(&bytes, &key), "in {page} of {pid}");
        }
    }
    for args in
        [&["get", &id][..], &["status"], &["status", "--json"], &["status", "--no-trunc"], &["logs", &id]]
    {
        let said = env.ok(args);
        assert!(!tells_key(said.as_bytes(), &key), "{args:?}: {said}");
    }
}
