# fish completion for procctl. What can be completed is asked of procctl itself: `procctl __complete`.

function __procctl_answer
    set -l words (commandline -opc)
    set -l program $words[1]
    type -q -- $program; or set program procctl
    set -l typed (commandline -ct)
    # It can end within quotes.
    set -l word (string unescape -- $typed; or string unescape -- $typed\'; or string unescape -- $typed\"; or echo -- $typed)
    command $program __complete fish $words[2..] "$word" 2>/dev/null
end

function __procctl_candidates
    set -l answer (__procctl_answer)
    set -l head (string split ' ' -- $answer[1])
    if test "$head[1]" = command
        set -l words (commandline -opc)
        # The program's own name comes first, and fish counts from one.
        set -l line (string escape -- $words[(math $head[4] + 2)..]) (commandline -ct)
        complete -C "$line"
    else
        string join \n -- $answer[2..]
    end
end

function __procctl_wants
    set -l answer (__procctl_answer)
    string match -q -- "$argv[1] *" $answer[1]
end

complete -c procctl -f
complete -c procctl -k -a '(__procctl_candidates)'
complete -c procctl -n '__procctl_wants files' -F
complete -c procctl -n '__procctl_wants directories' -a '(__fish_complete_directories (commandline -ct) "")'
