//! §6.3: the pid of a dead process that was given to another. In a pid namespace of its own the kernel can be told
//! which pid comes next.

use std::time::Duration;

use crate::harness::{TestEnv, skipped};
use crate::support::{in_pid_namespace, kernel_at_least, say};

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
    forge "$(record_of "$id")" record
}

record_of() { echo "$PROCCTL_RUN_DIR"/processes/*/"$1"/record.json; }

# Makes a record, or the parent in it, say that it started in the same clock tick as the stranger.
forge() {
    [ "$FORGED" ] || return 0
    python3 - "$1" "$2" "$FORGED" "$(cut -d' ' -f22 /proc/"$stranger"/stat)" <<'PYTHON' || die "cannot forge"
import json, sys
path, what, forged, ticks = sys.argv[1:]
record = json.load(open(path))
process = record["parent"] if what == "parent" else record
process["start_ticks"] = int(ticks)
if forged == "no-inode": process["pidfd_inode"] = None
json.dump(record, open(path, "w"))
PYTHON
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
    check_forged("", script);
}

/// Also with records whose start time is the stranger's, where the kernel tells it from its predecessor all the same.
fn check_also_forged(script: &str) {
    check(script);
    if !kernel_at_least(6, 9) {
        return skipped("the kernel is older than 6.9: pid and clock tick are all that it tells");
    }
    check_forged("tick", script);
    check_forged("no-inode", script);
}

fn check_forged(forged: &str, script: &str) {
    let env = TestEnv::new();
    let script = format!("FORGED={forged}\n{FUNCTIONS}\n{script}\necho done\n");
    let Some(call) = in_pid_namespace(&env, &script) else {
        return;
    };
    let output = call.deadline(Duration::from_secs(60)).output();
    assert_eq!(output.stdout().lines().last(), Some("done"), "{output:?}");
    output.exits(0);
}

#[test]
fn a_stranger_with_the_pid_of_a_dead_process_is_never_signalled() {
    check_also_forged(
        r#"
        for attempt in "terminate" "kill" "interrupt" "kill -s USR1" "kill -s KILL" "terminate --wait" \
            "terminate --kill-after 0.1" "terminate --tree" "kill --tree --wait"; do
            # Forged ones by their id only: what else names them makes no difference.
            references="id gone --all"
            [ -z "$FORGED" ] || references=id
            for ref in $references; do
                reuse
                [ "$ref" != id ] || ref=$id
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
    check_also_forged(
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
    check_also_forged(
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
    check_also_forged(
        r#"
        sleep 1000 & parent=$!
        id=$(procctl create -d --parent "$parent" -- sleep 1000) || die create
        kill -9 "$parent"; wait "$parent" 2>/dev/null
        under_pid "$parent" sleep 1000
        forge "$(record_of "$id")" parent
        procctl start "$id" 2>/dev/null; [ $? = 125 ] || die "started for a stranger""#,
    );
}

#[test]
fn a_start_that_was_cut_off_does_not_take_a_stranger_for_its_process() {
    check_also_forged(
        r#"
        for attempt in "terminate" "kill --tree" "is-alive" "get" "join" "status" "close"; do
            reuse
            # As if its monitor had been killed before the record could appear.
            record=$(record_of "$id")
            mv "$record" "${record%.json}.starting"
            procctl $attempt "$id" >/dev/null 2>&1; [ $? = 125 ] || die "$attempt: $?"
            [ "$(procctl status --json)" = "[]" ] || die "$attempt: it appeared"
            stranger_lives "$attempt"
            kill -9 "$stranger"; wait "$stranger" 2>/dev/null
        done"#,
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

/// Strangers, many at a time, for a moment each, until a file `stop` is there. All signals are blocked in them: one that is
/// sent waits to be read. SIGKILL and SIGSTOP are seen by their parent.
const BYSTANDERS: &str = r#"
import os, random, signal
ALL = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, ALL)
def complain(what):
    with open("complaints", "a") as file: file.write(what + "\n")
alive, pids, count = set(), set(), 0
while alive or not os.path.exists("stop"):
    while len(alive) < 30 and not os.path.exists("stop"):
        try: pid = os.fork()
        except OSError: break
        if pid == 0:
            random.seed()
            got = signal.sigtimedwait(ALL, random.random() * .03)
            if got: complain(f"the stranger {os.getpid()} got signal {got.si_signo} from {got.si_pid}")
            os._exit(0)
        alive.add(pid); pids.add(pid); count += 1
    if not alive: continue
    pid, status = os.waitpid(-1, os.WUNTRACED)
    if status: complain(f"the stranger {pid} has the wait status {status:#x}")
    if not os.WIFSTOPPED(status): alive.discard(pid)
got = signal.sigtimedwait(ALL - {signal.SIGCHLD}, 0)
if got: complain(f"the parent of the strangers got signal {got.si_signo} from {got.si_pid}")
with open("strangers", "w") as file: file.writelines(f"{pid}\n" for pid in sorted(pids, key=str))
print("strangers:", count)
"#;

/// One of several shells. Every process has an exit code of its own, another one when it is terminated, and another when it
/// is interrupted. Arguments: which shell, how many processes.
const CHURNER: &str = r#"
me=$1
complain() { echo "shell $me, process $i: $*" >> complaints; }
codes=()

# Starts the process of this round; what it is to exit with is in $own, $term, $int.
launch() {
    own=$(((me * 17 + i) % 60 + 1)); term=$((own + 60)) int=$((own + 180))
    name=w-$me-$i
    id=$(procctl start -n "$name" --stdin never -- sh -c \
        "trap 'exit $term' TERM; trap 'exit $int' INT; echo ready; $1; exit $own") || { complain start; return 1; }
    pid=$(procctl get "$id" pid)
    echo "$pid" >> managed
}
await_ready() {
    until [ "$(procctl logs "$id")" = ready ]; do :; done
}
# It must have ended with that, says join and says the record.
told() {
    local status=$1; shift
    [ "$status" = "$1" ] || complain "$name ($id): join told $status, not $1"
    codes+=("$id ${2-$1}")
}
joined() { procctl join "$1"; told $? "${@:2}"; }

for i in $(seq "$2"); do
    case $((RANDOM % 10)) in
    0) launch : && joined "$id" $own ;;
    1) launch 'sleep 0.02' && joined "$name" $own ;;
    2) launch 'read -r x' && await_ready && { procctl terminate "$id" || complain terminate; joined "$name" $term; } ;;
    3) launch 'read -r x' && { procctl kill "$name" || complain kill; joined "$id" 137 -9; } ;;
    4) launch 'read -r x' && await_ready && { procctl interrupt "$name" || complain interrupt; joined "$id" $int; } ;;
    5) launch 'read -r x' && await_ready && {
        procctl terminate --wait --tree "$pid" || complain "terminate --tree"; joined "$id" $term
    } ;;
    6) launch 'sleep 100 & read -r x' && await_ready && { procctl kill --tree "$id" || complain "kill --tree"; joined "$name" 137 -9; } ;;
    7) # Without a monitor, and waited for: the code is the true one or none.
        launch 'read -r x' && await_ready && {
            procctl join "$id" 2>/dev/null & join=$!
            kill -9 "$(procctl get "$id" monitor.pid)"
            procctl terminate "$id" || complain "terminate without a monitor"
            wait $join; status=$?
            [ $status = $term ] || [ $status = 125 ] || complain "$name: join told $status, not $term"
        } ;;
    8|9) # Both killed, and the pid is given to somebody else.
        launch 'read -r x' && {
            monitor=$(procctl get "$id" monitor.pid)
            kill -STOP "$monitor"; kill -9 "$pid" "$monitor"
            limit=$((SECONDS + 3))
            until { read -r _ _ _ parent _ < /proc/"$pid"/stat; } 2>/dev/null && [ "$parent" = "$strangers" ]; do
                [ "$SECONDS" -lt "$limit" ] || break
            done
            case $((RANDOM % 8)) in
                0) procctl terminate "$id" ;;
                1) procctl kill "$name" ;;
                2) procctl interrupt "$id" ;;
                3) procctl kill -s USR1 "$name" ;;
                4) procctl terminate --tree "$id" ;;
                5) procctl kill --tree --wait "$name" ;;
                6) procctl terminate --kill-after 0 "$id" ;;
                7) ! procctl is-alive "$id" ;;
            esac || complain "$name, whose pid is another's: $?"
            # Its own code where a second witness saw it, else none.
            procctl join "$id" 2>/dev/null; status=$?
            [ $status = 125 ] || [ $status = 137 ] || complain "$name: join told $status of a process that was killed"
        } ;;
    esac
    # One that ended long ago.
    if [ ${#codes[@]} -gt 0 ]; then
        read -r old code <<< "${codes[RANDOM % ${#codes[@]}]}"
        case $((RANDOM % 3)) in
            0) procctl terminate "$old" ;;
            1) procctl kill --tree "$old" ;;
            2) procctl interrupt --wait "$old" ;;
        esac || complain "$old, which has ended: $?"
    fi
done
for old in "${codes[@]}"; do
    read -r id code <<< "$old"
    [ "$(procctl get "$id" exitcode)" = "$code" ] || complain "$id: get does not tell $code"
done
"#;

/// In PID 1 of the namespace: PIDS says that the space of pids can be made small.
const CHURN: &str = r#"
if [ "$PIDS" ]; then
    echo "$PIDS" > /proc/sys/kernel/pid_max || exit 1
else
    while [ ! -e stop ]; do echo 300 > /proc/sys/kernel/ns_last_pid; sleep 0.2; done &
fi
# The lowest ones are given once only.
echo 300 > /proc/sys/kernel/ns_last_pid || exit 1
touch complaints managed
mkfifo never; exec 9<>never
python3 -I -S bystanders.py & export strangers=$!
shells=()
for shell in 1 2 3 4; do
    # Not as a shell's background process, which ignores SIGINT.
    env --default-signal bash churner.sh $shell "$ROUNDS" & shells+=($!)
done
wait "${shells[@]}"
touch stop
wait "$strangers" || echo "the parent of the strangers ended with $?" >> complaints
echo "processes: $(wc -l < managed), whose pid was a stranger's too: $(sort -u managed | comm -12 - strangers | wc -l)"
cat complaints
echo done
"#;

/// In a space of so few pids that each is given away again after a fraction of a second.
fn churn(rounds: usize, deadline: Duration) {
    let env = TestEnv::new();
    env.file("bystanders.py", BYSTANDERS);
    env.file("churner.sh", CHURNER);
    // Before Linux 6.14 pid_max is that of the whole machine.
    let pids = if kernel_at_least(6, 14) { "450" } else { "" };
    let Some(call) = in_pid_namespace(&env, CHURN) else {
        return;
    };
    let call = call.env("PIDS", pids).env("ROUNDS", rounds.to_string()).env("PROCCTL_KEEP", "forever");
    let output = call.deadline(deadline).output();
    let said = output.exits(0).stdout();
    let [first, second, "done"] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    say(&format!("{first}; {second}"));
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    assert!(count(first) > 4 * rounds && count(second) > (rounds / 4).min(50), "nothing was shown: {said}");
}

#[test]
fn no_stranger_is_signalled_and_no_code_is_wrong_while_pids_are_given_again_and_again() {
    churn(20, Duration::from_secs(120));
}

/// `PROCCTL_TEST_CHURN` says how many processes each of the four shells starts.
#[test]
#[ignore = "it takes minutes: cargo test --release --test it pid_reuse -- --ignored --nocapture"]
fn no_stranger_is_signalled_and_no_code_is_wrong_for_minutes() {
    let rounds = std::env::var("PROCCTL_TEST_CHURN").map_or(1000, |count| count.parse().expect("a number"));
    churn(rounds, Duration::from_secs(3600));
}
