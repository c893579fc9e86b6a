/* Preloaded into a daemon: system calls on files below FAIL_BELOW fail as the file FAIL_HOW says, while it exists.
 *
 * The file holds an error number and the letters of what fails: r (reading), w (writing, syncing, truncating),
 * o (opening to write, creating, removing, renaming), a (opening at all). Mapped memory is out of reach here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int below(const char *path) {
    const char *top = getenv("FAIL_BELOW");
    size_t length = top ? strlen(top) : 0;
    return length && strncmp(path, top, length) == 0;
}

static int fails(char what) {
    const char *how = getenv("FAIL_HOW");
    char text[64] = "";
    int descriptor = how ? (int)syscall(SYS_openat, AT_FDCWD, how, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (descriptor < 0)
        return 0;
    long size = syscall(SYS_read, descriptor, text, sizeof text - 1);
    syscall(SYS_close, descriptor);
    if (size <= 0 || !strchr(text, what))
        return 0;
    errno = atoi(text);
    return 1;
}

static int fails_at(int descriptor, char what) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return 0;
    path[size] = 0;
    return below(path) && fails(what);
}

static int fails_to_open(int directory, const char *name, int flags) {
    char link[64], path[8192] = "";
    if (name[0] != '/' && directory != AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t size = readlink(link, path, 4096);
        if (size > 0)
            snprintf(path + size, sizeof path - (size_t)size, "/%s", name);
    } else
        snprintf(path, sizeof path, "%s", name);
    if (!below(path))
        return 0;
    return fails('a') || ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails('o'));
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))
#define ON_DESCRIPTOR(type, name, what, parameters, arguments, ...)                                                    \
    type name parameters { return fails_at(descriptor, what) ? -1 : REAL(type, #name, __VA_ARGS__) arguments; }

ON_DESCRIPTOR(ssize_t, read, 'r', (int descriptor, void *data, size_t size), (descriptor, data, size), int, void *,
              size_t)
ON_DESCRIPTOR(ssize_t, pread, 'r', (int descriptor, void *data, size_t size, off_t at), (descriptor, data, size, at),
              int, void *, size_t, off_t)
ON_DESCRIPTOR(ssize_t, pread64, 'r', (int descriptor, void *data, size_t size, off64_t at),
              (descriptor, data, size, at), int, void *, size_t, off64_t)
ON_DESCRIPTOR(ssize_t, readv, 'r', (int descriptor, const struct iovec *parts, int count), (descriptor, parts, count),
              int, const struct iovec *, int)
ON_DESCRIPTOR(ssize_t, write, 'w', (int descriptor, const void *data, size_t size), (descriptor, data, size), int,
              const void *, size_t)
ON_DESCRIPTOR(ssize_t, writev, 'w', (int descriptor, const struct iovec *parts, int count), (descriptor, parts, count),
              int, const struct iovec *, int)
ON_DESCRIPTOR(ssize_t, pwrite, 'w', (int descriptor, const void *data, size_t size, off_t at),
              (descriptor, data, size, at), int, const void *, size_t, off_t)
ON_DESCRIPTOR(ssize_t, pwrite64, 'w', (int descriptor, const void *data, size_t size, off64_t at),
              (descriptor, data, size, at), int, const void *, size_t, off64_t)
ON_DESCRIPTOR(int, fsync, 'w', (int descriptor), (descriptor), int)
ON_DESCRIPTOR(int, fdatasync, 'w', (int descriptor), (descriptor), int)
ON_DESCRIPTOR(int, ftruncate, 'w', (int descriptor, off_t size), (descriptor, size), int, off_t)
ON_DESCRIPTOR(int, ftruncate64, 'w', (int descriptor, off64_t size), (descriptor, size), int, off64_t)

#define MODE                                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        MODE return fails_to_open(AT_FDCWD, path, flags) ? -1                                                          \
                                                         : REAL(int, #name, const char *, int, ...)(path, flags, mode); \
    }
#define OPENAT(name)                                                                                                   \
    int name(int directory, const char *path, int flags, ...) {                                                        \
        MODE return fails_to_open(directory, path, flags)                                                              \
            ? -1                                                                                                       \
            : REAL(int, #name, int, const char *, int, ...)(directory, path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int unlink(const char *path) {
    return fails_to_open(AT_FDCWD, path, O_WRONLY) ? -1 : REAL(int, "unlink", const char *)(path);
}

int rename(const char *from, const char *to) {
    return fails_to_open(AT_FDCWD, to, O_WRONLY) ? -1 : REAL(int, "rename", const char *, const char *)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    return fails_to_open(AT_FDCWD, path, O_WRONLY) ? -1 : REAL(int, "mkdir", const char *, mode_t)(path, mode);
}
