//! §6.3: the pid of a dead process that was given to another. In a pid namespace of its own the kernel can be told
//! which pid comes next.

use crate::harness::TestEnv;
use crate::support::in_pid_namespace;

/// Shell functions for PID 1 of the namespace.
const FUNCTIONS: &str = r#"
die() { echo "$*"; exit 1; }

# Waits until a pid is free: PID 1 reaps what it inherits.
await_free() {
    for try in $(seq 1000); do
        [ -e /proc/"$1" ] || return 0
        sleep 0.01
    done
    die "pid $1 is not freed"
}

# Runs a program in the background under that very pid; its pid is then in $stranger.
under_pid() {
    wanted=$1; shift
    for try in $(seq 100); do
        echo $((wanted - 1)) > /proc/sys/kernel/ns_last_pid || die "cannot say which pid comes next"
        "$@" &
        stranger=$!
        [ "$stranger" = "$wanted" ] && return 0
        kill -9 "$stranger"; wait "$stranger" 2>/dev/null
    done
    die "never got pid $wanted"
}

# A managed process that is dead with its monitor, its record still `started`, and a stranger under its pid.
# The stranger ends from any signal: no shell made it ignore one.
reuse() {
    id=$(procctl start -n gone "$@" -- sleep 1000) || die start
    pid=$(procctl get "$id" pid)
    monitor=$(procctl get "$id" monitor.pid)
    kill -STOP "$monitor"
    kill -9 "$pid" "$monitor"
    await_free "$pid"; await_free "$monitor"
    under_pid "$pid" env --default-signal sleep 1000
    await_program "$stranger" sleep
}

await_program() {
    for try in $(seq 1000); do
        [ "$(cat /proc/"$1"/comm)" = "$2" ] && return 0
        sleep 0.01
    done
    die "$1 has not become $2"
}

stranger_lives() {
    # A signal that was sent is at work before the next one is.
    kill -CONT "$stranger" 2>/dev/null && [ "$(cat /proc/"$stranger"/comm)" = sleep ] || die "$*: signalled a stranger"
}
"#;

fn check(script: &str) {
    let env = TestEnv::new();
    let script = format!("{FUNCTIONS}\n{script}\necho done\n");
    let Some(call) = in_pid_namespace(&env, &script) else {
        return;
    };
    let output = call.deadline(std::time::Duration::from_secs(60)).output();
    assert_eq!(output.stdout().lines().last(), Some("done"), "{output:?}");
    output.exits(0);
}

#[test]
fn a_stranger_with_the_pid_of_a_dead_process_is_never_signalled() {
    check(
        r#"
        for attempt in "terminate" "kill" "interrupt" "kill -s USR1" "kill -s KILL" "terminate --wait" \
            "terminate --kill-after 0.1" "terminate --tree" "kill --tree --wait"; do
            for ref in "$id" gone --all; do
                reuse
                [ "$ref" = --all ] || ref=$id
                procctl $attempt "$ref" >/dev/null || die "$attempt $ref: $?"
                stranger_lives "$attempt $ref"
                kill -9 "$stranger"; wait "$stranger" 2>/dev/null
                procctl close --all
            done
        done"#,
    );
}

#[test]
fn a_stranger_with_the_pid_of_a_dead_process_does_not_make_it_alive() {
    check(
        r#"
        reuse; procctl is-alive "$id"; [ $? = 1 ] || die is-alive
        reuse; [ "$(procctl get "$id" state)" = stopped ] || die get
        reuse; procctl status --json "$id" | grep -q '"started"' && die status
        reuse; [ "$(procctl status --alive --json)" = "[]" ] || die status --alive
        reuse; procctl join "$id" --timeout 20 2>/dev/null; [ $? = 125 ] || die join
        [ "$(procctl get "$id" lost)" ] || die "not lost"
        [ -z "$(procctl get "$id" exitcode)" ] || die "a code was invented"
        reuse; procctl close "$id" || die close
        reuse --unique; procctl start --unique -n gone -- sleep 1000 >/dev/null || die "its name is still taken""#,
    );
}

#[test]
fn the_pid_of_a_stranger_is_no_reference_to_a_dead_process() {
    check(
        r#"
        reuse
        for command in terminate kill is-alive get join; do
            procctl $command "$pid" 2>/dev/null; [ $? = 125 ] || die "$command $pid: $?"
        done
        stranger_lives"#,
    );
}

#[test]
fn a_daemonic_process_does_not_take_a_stranger_for_its_parent() {
    check(
        r#"
        # Started while its parent lived; the pid of the parent is then another's.
        sleep 1000 & parent=$!
        id=$(procctl start -d --parent "$parent" -- sleep 1000) || die start
        kill -9 "$parent"; wait "$parent" 2>/dev/null
        procctl join "$id"; [ $? = 143 ] || die "not ended with its parent"
        under_pid "$parent" sleep 1000
        next=$(procctl start --parent "$parent" -- sleep 1000) || die start
        [ "$(procctl get "$next" name)" = Process-1 ] || die "the stranger inherited a number"
        children=$(PROCCTL_PARENT=$parent procctl status --children --json | grep -c '"id":') 
        [ "$(PROCCTL_PARENT=$parent procctl join --timeout 0 2>/dev/null; echo $?)" = 124 ] || die "the stranger inherited a child"
        procctl is-alive "$next" || die "the second one was ended""#,
    );
}

#[test]
fn a_child_created_by_a_dead_parent_does_not_become_its_successors() {
    check(
        r#"
        sleep 1000 & parent=$!
        id=$(procctl create -d --parent "$parent" -- sleep 1000) || die create
        kill -9 "$parent"; wait "$parent" 2>/dev/null
        under_pid "$parent" sleep 1000
        procctl start "$id" 2>/dev/null; [ $? = 125 ] || die "started for a stranger""#,
    );
}

#[test]
fn a_leaked_id_is_not_believed_by_one_who_got_the_pid() {
    check(
        r#"
        id=$(procctl start -n gone -- sleep 1000) || die start
        pid=$(procctl get "$id" pid); monitor=$(procctl get "$id" monitor.pid)
        kill -STOP "$monitor"; kill -9 "$pid" "$monitor"
        await_free "$pid"; await_free "$monitor"
        echo 'procctl start -- true | cat > child' > leaked
        under_pid "$pid" env PROCCTL_ID="$id" bash leaked
        wait "$stranger"
        child=$(cat child)
        [ "$(procctl get "$child" name)" = Process-1 ] || die "became $(procctl get "$child" name)"
        [ -z "$(procctl get "$child" parent.id)" ] || die "believed the leaked id""#,
    );
}

#[test]
fn a_stranger_with_the_pid_of_the_monitor_is_never_touched() {
    check(
        r#"
        id=$(procctl start -- sleep 1000) || die start
        pid=$(procctl get "$id" pid); monitor=$(procctl get "$id" monitor.pid)
        kill -9 "$monitor"; await_free "$monitor"
        under_pid "$monitor" env --default-signal sleep 1000
        await_program "$stranger" sleep
        procctl is-alive "$id" || die is-alive
        procctl join "$id" --timeout 0.1; [ $? = 124 ] || die join
        procctl kill --tree --wait "$id" || die kill
        stranger_lives
        procctl is-alive "$id"; [ $? = 1 ] || die "still alive""#,
    );
}

#[test]
fn procctl_works_as_the_main_process_of_a_pid_namespace() {
    check(
        r#"
        id=$(procctl start -- sh -c 'exit 3') || die start
        procctl join "$id"; [ $? = 3 ] || die join
        [ "$(procctl get "$id" parent.pid)" = 1 ] || die parent
        procctl start -d -- sleep 1000 >/dev/null || die daemonic"#,
    );
}
