//! On a terminal: colours pass, and nothing else that does more than stand there.

use crate::harness::TestEnv;
use crate::support;

/// What `procctl ARG...` sends to a terminal. It must exit 0.
#[track_caller]
fn bytes_on_terminal(env: &TestEnv, args: &[&str]) -> Vec<u8> {
    let (code, seen) = support::on_terminal(env, args);
    assert_eq!(code, 0, "{seen:?}");
    seen
}

#[track_caller]
pub(crate) fn on_terminal(env: &TestEnv, args: &[&str]) -> String {
    String::from_utf8(bytes_on_terminal(env, args)).unwrap()
}

/// Starts `printf FORMAT` and waits for its end; its id.
fn printed(env: &TestEnv, name: &str, format: &str) -> String {
    let id = env.start(&["-n", name], &["printf", format]);
    assert_eq!(env.join(&id), 0);
    id
}

#[test]
fn control_characters_are_escaped() {
    let env = TestEnv::new();
    let id = printed(&env, "w", r"a\033[2Jb\007\233\177\tc\r\nd\302\233\033]0;t\033[31\n");
    for options in [&[][..], &["-n", "5"], &["-f"], &["--color", "never"]] {
        let said = on_terminal(&env, &[&["logs", &id][..], options].concat());
        assert_eq!(said, "a\\x1b[2Jb\\x07\u{fffd}\\x7f\tc\\r\nd\\u{9b}\\x1b]0;t\\x1b[31\n", "{options:?}");
    }
    let said = bytes_on_terminal(&env, &["logs", "--raw", &id]);
    assert_eq!(said, b"a\x1b[2Jb\x07\x9b\x7f\tc\r\nd\xc2\x9b\x1b]0;t\x1b[31\n");
}

#[test]
fn colours_pass_and_end_with_the_line() {
    let env = TestEnv::new();
    let id = printed(&env, "w", r"\033[1;31mred\033[0m plain\n\033[32mgreen\nplain\033[38;5;3m");
    let said = on_terminal(&env, &["logs", &id]);
    assert_eq!(said, "\x1b[1;31mred\x1b[0m plain\n\x1b[32mgreen\x1b[0m\nplain\x1b[38;5;3m\x1b[0m");
    for options in [&["--color", "never"][..], &["-q", "-f", "--color=never"]] {
        assert_eq!(on_terminal(&env, &[&["logs", &id][..], options].concat()), "red plain\ngreen\nplain");
    }
}

#[test]
fn names_are_coloured_and_cannot_be_painted_over() {
    let env = TestEnv::new();
    let one = printed(&env, "one", r"\033[31mred\n\033[2K\rtwo | forged\n");
    let two = printed(&env, "two", "said");
    let said = on_terminal(&env, &["logs", &one, &two]);
    let lines = [
        "\x1b[0;36mone |\x1b[0m \x1b[31mred\x1b[0m",
        "\x1b[0;36mone |\x1b[0m \\x1b[2K\\rtwo | forged",
        "\x1b[0;33mtwo |\x1b[0m said",
    ];
    assert_eq!(said, lines.join("\n") + "\n");
    let plain = on_terminal(&env, &["logs", "--color", "never", &one, &two]);
    assert_eq!(plain, "one | red\none | \\x1b[2K\\rtwo | forged\ntwo | said\n");
}
