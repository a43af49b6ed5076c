//! `schema`: what is promised of a record, as JSON Schema; every kind of record is measured by it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use boon::{Compiler, SchemaIndex, Schemas};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::support::{Held, kill_monitor};
use crate::upgrade;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("record.json", schema).unwrap();
        let mut schemas = Schemas::new();
        let index = compiler.compile("record.json", &mut schemas).unwrap_or_else(|e| panic!("{e:#}"));
        Self { schemas, index }
    }

    fn accepts(&self, record: &Value) -> bool {
        self.schemas.validate(record, self.index).is_ok()
    }

    #[track_caller]
    fn check(&self, record: &Value) {
        if let Err(e) = self.schemas.validate(record, self.index) {
            panic!("{e:#}\n{record}");
        }
    }
}

/// The schema, but for that it lets nothing pass that it does not name: a later version may add fields, this one may not
/// have any that are not in it.
fn strict(mut schema: Value) -> Value {
    fn close(part: &mut Value) {
        match part {
            Value::Object(object) => {
                if object.contains_key("properties") {
                    object.insert("additionalProperties".to_owned(), json!(false));
                }
                object.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

#[test]
fn every_kind_of_record_is_as_it_says() {
    let mut env = TestEnv::new();
    env.allow_leftovers("what lost its monitor is killed by the test itself");
    env.ok(["create", "-n", "initial", "--", "true"]);
    env.ok(["create", "-n", "initial-daemon", "--daemon", "--unique", "-e", "A=b", "--", "true"]);
    env.sleeper(&["-n", "started", "--daemon"]);
    for (name, script) in [("ended", "exit 0"), ("failed", "exit 3"), ("killed-itself", "kill -9 $$")] {
        let id = env.start(&["-n", name, "--stdout", "null"], &["sh", "-c", script]);
        env.join(&id);
    }
    for (name, deed) in [("terminated", "terminate"), ("killed", "kill"), ("interrupted", "interrupt")] {
        let id = env.sleeper(&["-n", name]);
        env.ok([deed, &id, "--wait"]);
    }
    let odd = OsStr::from_bytes(b"\xff\x1b");
    let output = env.procctl(["start", "-n", "bytes", "--stderr", "err", "--", "printf"]).arg(odd).output();
    env.join(&output.success());
    env.procctl(["run", "-n", "run", "--", "true"]).output().success();
    let nested = "procctl start -n nested --daemon -- sleep 1000";
    let id = env.start(&["-n", "outer"], &["bash", "-c", nested]);
    env.join(&id);
    env.join("nested");
    // Nobody saw the end.
    let id = env.sleeper(&["-n", "lost"]);
    let process = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    process.signal(Signal::KILL);
    process.wait_reaped();
    // A new monitor, before and after the end.
    for name in ["adopted", "adopted-ended"] {
        let id = env.sleeper(&["-n", name]);
        kill_monitor(&env, &id);
        env.ok(["is-alive", &id]);
    }
    env.ok(["terminate", "adopted-ended", "--wait"]);
    // Of earlier versions.
    let old = upgrade::kept();
    for (_, record) in &old {
        upgrade::install(&env, record);
    }

    let schema: Value = env.json(["schema"]);
    assert_eq!(schema["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    let validator = Validator::new(schema.clone());
    let strict = Validator::new(strict(schema));
    let records = env.status();
    let old: BTreeSet<_> = old.iter().map(|(_, record)| record["id"].as_str()).collect();
    assert_eq!(records.len(), 16 + old.len());
    for record in &records {
        validator.check(record);
        strict.check(record);
        let id = record["id"].as_str().unwrap();
        strict.check(&env.record(id));
    }
    // The kinds were those.
    let of = |name: &str| records.iter().find(|record| record["name"] == name).unwrap();
    assert_eq!(of("initial")["state"], json!("initial"));
    assert_eq!(of("nested")["parent"]["name"], json!("outer"));
    assert_eq!(of("nested")["ended_by"]["action"], json!("parent-exit"));
    assert_eq!(of("adopted")["monitor"]["adopted"], json!(true));
    assert!(of("bytes")["command"][1]["hex"].is_string());
    assert_eq!(of("lost")["witness"], json!("nobody"));

    // What is not so is not accepted.
    let good = of("terminated");
    assert!(strict.accepts(good));
    for (key, bad) in [
        ("schema", json!(2)),
        ("state", json!("running")),
        ("id", json!("ABC")),
        ("exitcode", json!(256)),
        ("created_at", json!("yesterday")),
        ("command", json!([])),
        ("command", json!([{ "hex": "f" }])),
        ("parent", json!({ "pid": 5 })),
        ("usage", json!(5)),
        ("ended_by", json!({ "action": "other", "signal": 1, "by_pid": 1, "at": good["created_at"] })),
    ] {
        let mut record = good.clone();
        record[key] = bad;
        assert!(!validator.accepts(&record), "{record}");
    }
    // A field of a later version is accepted, one that is missing is not, and strictly none may be new.
    let mut record = good.clone();
    record["from_the_future"] = json!(1);
    assert!(validator.accepts(&record) && !strict.accepts(&record));
    record.as_object_mut().unwrap().remove("unique");
    assert!(!validator.accepts(&record));
}

#[test]
fn it_needs_no_run_directory() {
    let env = TestEnv::new();
    let schema = env.json(["schema", "--run-dir", "/nonexistent/x"]);
    assert_eq!(schema["properties"]["schema"]["const"], json!(1));
    env.refused(["schema", "x"], 125, &["x"]);
}
