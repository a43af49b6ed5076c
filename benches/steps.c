// Counts the instructions that a program and what it forks execute in user space, one by one: exact, whatever else the machine
// does, and also where the processor's own counters are hidden, as in most virtual machines.
//
//   steps PROGRAM [ARG]...   runs it. A process that it forks counts until it executes a program of its own, which runs
//                            freely. When all that count have ended, the last line of standard error has their numbers, the
//                            program's first. Exits as the program does.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 16 };
static struct {
    pid_t pid;
    unsigned long long steps;
} counted[MOST];
static int processes;

// Its place in the order of their first steps.
static int place(pid_t pid)
{
    int at = 0;
    while (at < processes && counted[at].pid != pid)
        at++;
    if (at == processes && processes < MOST) {
        counted[at].pid = pid;
        processes++;
    }
    return at;
}

int main(int count, char **args)
{
    if (count < 2) {
        fputs("usage: steps PROGRAM [ARG]...\n", stderr);
        return 125;
    }
    pid_t program = fork();
    if (program == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            execvp(args[1], args + 1);
        perror(args[1]);
        _exit(125);
    }
    int status, exit_status = 125;
    // It stops at its exec.
    if (waitpid(program, &status, 0) != program || !WIFSTOPPED(status))
        return 125;
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options);
    place(program);
    ptrace(PTRACE_SINGLESTEP, program, NULL, NULL);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid < 0)
            continue;
        if (!WIFSTOPPED(status)) {
            if (pid == program)
                exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        long signal = WSTOPSIG(status);
        int event = status >> 16;
        int known = processes, at = place(pid);
        if (at == MOST) {
            fputs("steps: too many processes\n", stderr);
            return 125;
        }
        if (event == PTRACE_EVENT_EXEC && pid != program) {
            ptrace(PTRACE_DETACH, pid, NULL, NULL);
            continue;
        }
        if (event != 0 || at == known) {
            signal = 0; // told of a fork, or the stop that every new process begins with
        } else if (signal == SIGTRAP) {
            counted[at].steps++;
            signal = 0;
        }
        ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)signal);
    }
    for (int at = 0; at < processes; at++)
        fprintf(stderr, at ? " %llu" : "%llu", counted[at].steps);
    fputc('\n', stderr);
    return exit_status;
}
