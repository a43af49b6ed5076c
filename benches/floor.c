// The floor: the least that a program must do which starts a command in the background, keeps a monitor for it and is
// honest about exec. What procctl costs is told as a ratio to this.
//
//   floor start LOG CMD [ARG]...   prints the pid once the command has been exec'ed; exits 127 if that fails
//   floor wait PID                 returns when that process has ended
//   floor run CMD [ARG]...         starts it in the foreground, waits, exits as it exits
//   floor read DIR                 reads DIR/*/*/record.json, each once; prints how many there were, and how many bytes
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int start(const char *log, char **command)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC))
        return 125;
    pid_t middle = fork();
    if (middle < 0)
        return 125;
    if (middle > 0) {
        int answer[2] = {0, 0};
        close(report[1]);
        waitpid(middle, NULL, 0);
        // First the pid from the monitor, then end of file from exec, or its errno.
        if (read(report[0], &answer[0], sizeof answer[0]) != sizeof answer[0])
            return 125;
        if (read(report[0], &answer[1], sizeof answer[1]) > 0)
            return 127;
        printf("%d\n", answer[0]);
        return 0;
    }
    setsid();
    if (fork() > 0)
        _exit(0);
    // The monitor.
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int self = getpid();
        dup2(null, 0);
        dup2(out, 1);
        dup2(out, 2);
        (void)!write(report[1], &self, sizeof self);
        execvp(command[0], command);
        (void)!write(report[1], &errno, sizeof errno);
        _exit(127);
    }
    syscall(SYS_close_range, 0, ~0U, 0); // musl has no function for it
    (void)!chdir("/");
    waitpid(pid, NULL, 0);
    _exit(0);
}

static int wait_for(pid_t pid)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    return end.fd >= 0 && poll(&end, 1, -1) != 1;
}

static int run(char **command)
{
    int status;
    pid_t pid = fork();
    if (pid < 0)
        return 125;
    if (pid == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid)
        return 125;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int read_all(const char *directory)
{
    static char text[65536];
    long records = 0, bytes = 0;
    DIR *folders = opendir(directory);
    if (folders == NULL)
        return 125;
    for (struct dirent *folder; (folder = readdir(folders)) != NULL;) {
        if (folder->d_name[0] == '.')
            continue;
        DIR *entries = fdopendir(openat(dirfd(folders), folder->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (entries == NULL)
            continue;
        for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
            char path[NAME_MAX + sizeof "/record.json"];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/record.json", entry->d_name);
            int file = openat(dirfd(entries), path, O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            for (ssize_t length; (length = read(file, text, sizeof text)) > 0;)
                bytes += length;
            close(file);
            records++;
        }
        closedir(entries);
    }
    closedir(folders);
    printf("%ld records, %ld bytes\n", records, bytes);
    return 0;
}

int main(int count, char **args)
{
    if (count > 3 && !strcmp(args[1], "start"))
        return start(args[2], args + 3);
    if (count == 3 && !strcmp(args[1], "wait"))
        return wait_for(atoi(args[2]));
    if (count > 2 && !strcmp(args[1], "run"))
        return run(args + 2);
    if (count == 3 && !strcmp(args[1], "read"))
        return read_all(args[2]);
    fputs("usage: floor start LOG CMD [ARG]... | floor wait PID | floor run CMD [ARG]... | floor read DIR\n", stderr);
    return 125;
}
