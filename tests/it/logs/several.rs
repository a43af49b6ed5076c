//! `logs` of several processes: whose line it is.

use crate::harness::TestEnv;

#[test]
fn each_line_has_its_name_before_it_one_after_the_other() {
    let env = TestEnv::new();
    let one = env.start(&["-n", "web"], &["printf", "1\\n\\n3"]);
    let two = env.start(&["-n", "database"], &["printf", "\\033[31ma\\nb\\n"]);
    let none = env.ok(["create", "-n", "never", "--", "true"]);
    assert_eq!((env.join(&one), env.join(&two)), (0, 0));
    let all = "web      | 1\nweb      | \nweb      | 3\ndatabase | \x1b[31ma\ndatabase | b";
    assert_eq!(env.ok(["logs", &one, &two, &none]), all);
    assert_eq!(env.ok(["logs", "-f", "web", "database"]), all);
    assert_eq!(env.ok(["logs", "-n", "1", &two, &one]), "database | b\nweb      | 3");
    // One is not several, however often it is named.
    assert_eq!(env.ok(["logs", "web", &one]), "1\n\n3");
    let coloured = env.ok(["logs", "--color", "always", "-n", "1", &one, &two]);
    assert_eq!(coloured, "\x1b[0;36mweb      |\x1b[0m 3\n\x1b[0;33mdatabase |\x1b[0m b");
}

#[test]
fn two_of_one_name_are_told_apart() {
    let env = TestEnv::new();
    let ids = ["a", "b"].map(|word| env.start(&["-n", "twin"], &["echo", word]));
    let [a, b] = &ids;
    assert_eq!((env.join(a), env.join(b)), (0, 0));
    assert_eq!(env.ok(["logs", a, b]), format!("twin ({a}) | a\ntwin ({b}) | b"));
}

#[test]
fn lines_of_two_are_never_mixed() {
    let env = TestEnv::new();
    let (first, second) = (env.gate("first"), env.gate("second"));
    let half = format!("printf half; echo ready > /dev/null; {}; echo ' done'", first.wait());
    let one = env.start(&["-n", "one"], &["bash", "-c", &half]);
    let other = format!("echo whole; {}; printf end", second.wait());
    let two = env.start(&["-n", "two"], &["bash", "-c", &other]);
    // The half line has been read long before it is whole: the whole one is seen first.
    let script = format!(
        "procctl logs -f {one} {two} | while read -r line; do echo \"$line\"
             case $line in *whole) echo > first;; *done) echo > second;; esac; done; exit ${{PIPESTATUS[0]}}"
    );
    assert_eq!(env.bash(&script).output().success(), "two | whole\none | half done\ntwo | end");
}

#[test]
fn many_that_write_at_once_are_all_told_whole() {
    let env = TestEnv::new();
    let ids: Vec<String> = (0..8)
        .map(|n| {
            env.start(&["-n", &format!("w{n}")], &["bash", "-c", "for n in {1..3000}; do echo line $n; done"])
        })
        .collect();
    let said = env.procctl(["logs", "-f"]).args(&ids).output().success();
    for n in 0..8 {
        let prefix = format!("w{n} | ");
        let own: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let wanted: Vec<String> = (1..=3000).map(|n| format!("line {n}")).collect();
        assert_eq!(own, wanted);
    }
    assert_eq!(said.lines().count(), 8 * 3000);
}

#[test]
fn one_that_cannot_be_shown_is_an_error() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.sleeper(&["--stdout", "null", "--stderr", "null"]);
    env.refused(["logs", &one, &two], 125, &[&two, "no log"]);
    env.refused(["logs", &one, "nobody"], 125, &["nobody"]);
}
