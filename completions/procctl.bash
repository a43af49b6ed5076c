# bash completion for procctl. What can be completed is asked of procctl itself: `procctl __complete`.

_procctl() {
    local program=$1 replaced=$2 answer=() besides follows word
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    type -P -- "$program" >/dev/null || program=procctl
    COMPREPLY=()
    mapfile -t answer < <(command "$program" __complete bash "${COMP_LINE:0:COMP_POINT}" "$replaced" 2>/dev/null)
    read -r besides _ follows _ <<<"${answer[0]-nothing}"
    COMPREPLY=("${answer[@]:1}")
    [[ $follows == on ]] && compopt -o nospace
    case $besides in
        nothing)
            compopt +o default
            ;;
        directories)
            compopt +o default -o dirnames
            ;;
        files)
            # Without words readline completes files on its own, better than we could.
            if [[ ${COMPREPLY[0]+there} ]]; then
                compopt -o filenames
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$replaced")
            fi
            ;;
        command)
            for ((word = 1; word < COMP_CWORD; word++)); do
                [[ ${COMP_WORDS[word]} == -- ]] && break
            done
            if declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset "$((word + 1))"
            elif declare -F _command_offset >/dev/null; then
                _command_offset "$((word + 1))"
            elif ((COMP_CWORD == word + 1)) && [[ $replaced != */* ]]; then
                mapfile -t COMPREPLY < <(compgen -c -- "$replaced" | sort -u)
            fi
            ;;
    esac
}

# Names before ids, as they come; bash before 4.4 sorts them.
complete -o default -o nosort -F _procctl procctl 2>/dev/null || complete -o default -F _procctl procctl
