# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_procctl_global_optspecs
    string join \n run-dir= color= q/quiet h/help V/version
end

function __fish_procctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_procctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_procctl_using_subcommand
    set -l cmd (__fish_procctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c procctl -n "__fish_procctl_needs_command" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_needs_command" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_needs_command" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_needs_command" -s V -l version -d 'Print version'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "create" -d 'Record a process without starting it; print its id'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "start" -d 'Start a process in the background, or some that `create` recorded; print the ids'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "run" -d 'Start a process in the foreground, join it, exit as it exits'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "join" -d 'Wait for processes to end; exit as they did'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "terminate" -d 'Send SIGTERM'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "kill" -d 'Send SIGKILL, or another signal'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "interrupt" -d 'Send SIGINT'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "is-alive" -d 'Exit 0 if the process is alive, 1 if not'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "status" -d 'List processes'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "logs" -d 'Print what a process wrote to its log'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "get" -d 'Print one field of the record, or all of it, for scripts'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "set" -d 'Change the name; or, before the start, the daemon flag or the authkey'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "close" -d 'Forget processes that have ended, with their logs'
complete -c procctl -n "__fish_procctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c procctl -n "__fish_procctl_using_subcommand create" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand create" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand create" -s n -l name -d 'Name of the process; need not be unique [default: Process-N, counted by the parent]' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l parent -d 'The parent, instead of the caller [env: PROCCTL_PARENT]' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -s C -l cwd -d 'Working directory' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand create" -s e -l env -d 'Set a variable, or with KEY alone pass the caller\'s on; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l stdin -d 'Standard input: null, inherit, or a file [default: null; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l stdout -d 'Standard output: log, null, inherit, or a file to append to [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l stderr -d 'Standard error: as --stdout, or stdout for the same place [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l fd -d 'Leave this open descriptor of the caller open in the process; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand create" -l authkey-file -d 'Take the authkey from a file instead of the parent' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand create" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand create" -s d -l daemon -d 'End it (SIGTERM) when its parent ends'
complete -c procctl -n "__fish_procctl_using_subcommand create" -l no-daemon -d 'Let it live on when its parent ends [default: as the parent itself]'
complete -c procctl -n "__fish_procctl_using_subcommand create" -l unique -d 'Refuse if a live process has that name'
complete -c procctl -n "__fish_procctl_using_subcommand create" -l clear-env -d 'Begin with an empty environment'
complete -c procctl -n "__fish_procctl_using_subcommand create" -l json -d 'Print the record instead of the id'
complete -c procctl -n "__fish_procctl_using_subcommand create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand start" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand start" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand start" -s n -l name -d 'Name of the process; need not be unique [default: Process-N, counted by the parent]' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l parent -d 'The parent, instead of the caller [env: PROCCTL_PARENT]' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -s C -l cwd -d 'Working directory' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand start" -s e -l env -d 'Set a variable, or with KEY alone pass the caller\'s on; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l stdin -d 'Standard input: null, inherit, or a file [default: null; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l stdout -d 'Standard output: log, null, inherit, or a file to append to [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l stderr -d 'Standard error: as --stdout, or stdout for the same place [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l fd -d 'Leave this open descriptor of the caller open in the process; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand start" -l authkey-file -d 'Take the authkey from a file instead of the parent' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand start" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand start" -s d -l daemon -d 'End it (SIGTERM) when its parent ends'
complete -c procctl -n "__fish_procctl_using_subcommand start" -l no-daemon -d 'Let it live on when its parent ends [default: as the parent itself]'
complete -c procctl -n "__fish_procctl_using_subcommand start" -l unique -d 'Refuse if a live process has that name'
complete -c procctl -n "__fish_procctl_using_subcommand start" -l clear-env -d 'Begin with an empty environment'
complete -c procctl -n "__fish_procctl_using_subcommand start" -l json -d 'Print the record instead of the id'
complete -c procctl -n "__fish_procctl_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand run" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand run" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand run" -s n -l name -d 'Name of the process; need not be unique [default: Process-N, counted by the parent]' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l parent -d 'The parent, instead of the caller [env: PROCCTL_PARENT]' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -s C -l cwd -d 'Working directory' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand run" -s e -l env -d 'Set a variable, or with KEY alone pass the caller\'s on; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l stdin -d 'Standard input: null, inherit, or a file [default: null; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l stdout -d 'Standard output: log, null, inherit, or a file to append to [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l stderr -d 'Standard error: as --stdout, or stdout for the same place [default: log; run: inherit]' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l fd -d 'Leave this open descriptor of the caller open in the process; repeatable' -r
complete -c procctl -n "__fish_procctl_using_subcommand run" -l authkey-file -d 'Take the authkey from a file instead of the parent' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand run" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand run" -s d -l daemon -d 'End it (SIGTERM) when its parent ends'
complete -c procctl -n "__fish_procctl_using_subcommand run" -l no-daemon -d 'Let it live on when its parent ends [default: as the parent itself]'
complete -c procctl -n "__fish_procctl_using_subcommand run" -l unique -d 'Refuse if a live process has that name'
complete -c procctl -n "__fish_procctl_using_subcommand run" -l clear-env -d 'Begin with an empty environment'
complete -c procctl -n "__fish_procctl_using_subcommand run" -l json -d 'Print the record instead of the id'
complete -c procctl -n "__fish_procctl_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand join" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand join" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand join" -l timeout -d 'Stop waiting after this time and exit 124; nothing is signalled' -r
complete -c procctl -n "__fish_procctl_using_subcommand join" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand join" -l any -d 'Return as soon as one has ended; print the ids of those that have'
complete -c procctl -n "__fish_procctl_using_subcommand join" -l all -d 'Every process in the run directory'
complete -c procctl -n "__fish_procctl_using_subcommand join" -l json -d 'Print the records'
complete -c procctl -n "__fish_procctl_using_subcommand join" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l kill-after -d 'Wait this long, then send SIGKILL, then wait for the end' -r
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l all -d 'Every live process in the run directory'
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l wait -d 'Return when they have ended'
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -l tree -d 'Take every descendant along; return when none is left'
complete -c procctl -n "__fish_procctl_using_subcommand terminate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand kill" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand kill" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand kill" -s s -l signal -d 'The signal: a name or a number' -r
complete -c procctl -n "__fish_procctl_using_subcommand kill" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand kill" -l all -d 'Every live process in the run directory'
complete -c procctl -n "__fish_procctl_using_subcommand kill" -l wait -d 'Return when they have ended'
complete -c procctl -n "__fish_procctl_using_subcommand kill" -l tree -d 'Take every descendant along; return when none is left'
complete -c procctl -n "__fish_procctl_using_subcommand kill" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -l all -d 'Every live process in the run directory'
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -l wait -d 'Return when they have ended'
complete -c procctl -n "__fish_procctl_using_subcommand interrupt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand is-alive" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand is-alive" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand is-alive" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand is-alive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand status" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand status" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand status" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand status" -l json -d 'Print the records as a JSON array'
complete -c procctl -n "__fish_procctl_using_subcommand status" -l alive -d 'Only those that are alive'
complete -c procctl -n "__fish_procctl_using_subcommand status" -l children -d 'Only the caller\'s own children'
complete -c procctl -n "__fish_procctl_using_subcommand status" -l no-trunc -d 'Do not cut the command to the width of the terminal'
complete -c procctl -n "__fish_procctl_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand logs" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand logs" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand logs" -s n -l lines -d 'Only the last lines' -r
complete -c procctl -n "__fish_procctl_using_subcommand logs" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand logs" -s f -l follow -d 'Go on printing until the process has ended'
complete -c procctl -n "__fish_procctl_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand get" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand get" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand get" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand set" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand set" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand set" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand close" -l run-dir -d 'Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]' -r -F
complete -c procctl -n "__fish_procctl_using_subcommand close" -l color -d 'Whether to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c procctl -n "__fish_procctl_using_subcommand close" -l older-than -d 'Only those that ended longer ago than this; without REFs, of all' -r
complete -c procctl -n "__fish_procctl_using_subcommand close" -s q -l quiet -d 'Print no notices, only answers and errors'
complete -c procctl -n "__fish_procctl_using_subcommand close" -l all -d 'Every process in the run directory that is not alive'
complete -c procctl -n "__fish_procctl_using_subcommand close" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "create" -d 'Record a process without starting it; print its id'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "start" -d 'Start a process in the background, or some that `create` recorded; print the ids'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "run" -d 'Start a process in the foreground, join it, exit as it exits'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "join" -d 'Wait for processes to end; exit as they did'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "terminate" -d 'Send SIGTERM'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "kill" -d 'Send SIGKILL, or another signal'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "interrupt" -d 'Send SIGINT'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "is-alive" -d 'Exit 0 if the process is alive, 1 if not'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "status" -d 'List processes'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "logs" -d 'Print what a process wrote to its log'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "get" -d 'Print one field of the record, or all of it, for scripts'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "set" -d 'Change the name; or, before the start, the daemon flag or the authkey'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "close" -d 'Forget processes that have ended, with their logs'
complete -c procctl -n "__fish_procctl_using_subcommand help; and not __fish_seen_subcommand_from create start run join terminate kill interrupt is-alive status logs get set close help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
