// Counts the instructions that a program executes in user space, one by one: exact, whatever else the machine does, and also
// where the processor's own counters are hidden, as in most virtual machines.
//
//   steps PROGRAM [ARG]...   runs it (what it forks runs freely); the number is the last line of standard error
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **args)
{
    if (count < 2) {
        fputs("usage: steps PROGRAM [ARG]...\n", stderr);
        return 125;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            execvp(args[1], args + 1);
        perror(args[1]);
        _exit(125);
    }
    unsigned long long steps = 0;
    int status = 0;
    for (;;) {
        if (waitpid(pid, &status, 0) < 0) {
            if (errno == EINTR)
                continue;
            perror("steps");
            return 125;
        }
        if (!WIFSTOPPED(status))
            break;
        steps++;
        long signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)signal);
    }
    fprintf(stderr, "%llu\n", steps);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
