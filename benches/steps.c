// Counts the instructions that a program and what it forks execute in user space, one by one: exact, whatever else the machine
// does, and also where the processor's own counters are hidden, as in most virtual machines.
//
//   steps PROGRAM [ARG]...   runs it. A process that it forks counts until it executes a program of its own, which runs
//                            freely. When all that count have ended, the last line of standard error has their numbers, the
//                            program's first. Exits as the program does.
//   STEPS_WHERE=FILE         writes the address of each instruction to it, in the order in which they come first. x86-64 only;
//                            of a program at a fixed address below 4 GiB.
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
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

static FILE *where;
static unsigned char *seen; // a bit for each address

static void note_place(pid_t pid)
{
#ifdef __x86_64__
    unsigned long at = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL);
    if (at < 1UL << 32 && !(seen[at / 8] & 1 << at % 8)) {
        seen[at / 8] |= 1 << at % 8;
        fprintf(where, "%lx\n", at);
    }
#else
    (void)pid;
#endif
}

int main(int count, char **args)
{
    if (count < 2) {
        fputs("usage: steps PROGRAM [ARG]...\n", stderr);
        return 125;
    }
    const char *file = getenv("STEPS_WHERE");
    if (file) {
        where = fopen(file, "w");
        seen = calloc(1, (1UL << 32) / 8); // only what is touched takes memory
        if (!where || !seen) {
            perror(file);
            return 125;
        }
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
            if (where)
                note_place(pid);
            signal = 0;
        }
        ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)signal);
    }
    for (int at = 0; at < processes; at++)
        fprintf(stderr, at ? " %llu" : "%llu", counted[at].steps);
    fputc('\n', stderr);
    if (where && fclose(where) != 0)
        return 125;
    return exit_status;
}
