/* Preloaded, it lets writes to a tape succeed without making them: what is left of the program's CPU
 * time is its cost without them. All else is the program's own, the encoding of what it doesn't write
 * included. */

#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than tapes are open at once, and numbers of descriptors that they get: they come early. */
#define DESCRIPTORS 256

/* A tape stays open to the program's end, so once known it needs no second look. */
static char is_tape[DESCRIPTORS];

static int look(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path);
    return len > 5 && memcmp(path + len - 5, ".tape", 5) == 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (fd >= 0 && fd < DESCRIPTORS && (is_tape[fd] || (is_tape[fd] = look(fd))))
        return count;
    return syscall(SYS_write, fd, bytes, count);
}
