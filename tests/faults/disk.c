/* A disk that fails on command, and remembers what it was told: preloaded into a recorder under test.
 *
 * FAULTS_CONTROL  a file whose first byte says what happens to the databases and their logs:
 *                 S no space, I input/output error, R read-only, E errors on reading, too; anything else: nothing.
 * FAULTS_JOURNAL  a file that gets a record for each change that was made and each fsync that returned,
 *                 from which the harness makes what a power cut may leave; see disk.py for its format.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 4096
enum { OTHER = 0, DATABASE = 1, LOG = 2 };

static signed char kinds[MOST];
static int control = -1;
static int journal = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_open)(const char *, int, ...);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_close)(int);

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_close = dlsym(RTLD_NEXT, "close");
    const char *path = getenv("FAULTS_CONTROL");
    if (path) control = real_open(path, O_RDONLY | O_CLOEXEC);
    path = getenv("FAULTS_JOURNAL");
    if (path) journal = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int ends(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static int kind_of(const char *path) {
    if (ends(path, "affect-edge.db") || ends(path, "dashboard.db")) return DATABASE;
    return ends(path, "affect-edge.db-wal") || ends(path, "dashboard.db-wal") ? LOG : OTHER;
}

static int kind(int fd) { return fd >= 0 && fd < MOST ? kinds[fd] : OTHER; }

/* The error that a call gets now; 0: none. */
static int fault(int reads) {
    char what = 0;
    if (control < 0 || real_pread(control, &what, 1, 0) != 1) return 0;
    if (what == 'E') return EIO;
    if (reads) return 0;
    return what == 'S' ? ENOSPC : what == 'I' ? EIO : what == 'R' ? EROFS : 0;
}

static void note(char what, int file, int64_t at, const void *data, int64_t size) {
    if (journal < 0) return;
    char head[18];
    head[0] = what;
    head[1] = (char)file;
    memcpy(head + 2, &at, 8);
    memcpy(head + 10, &size, 8);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)data, data ? (size_t)size : 0}};
    pthread_mutex_lock(&lock);
    if (writev(journal, parts, 2) < 0) abort();
    pthread_mutex_unlock(&lock);
}

static int opened(const char *path, int flags, mode_t mode) {
    int file = kind_of(path);
    if (file && (flags & O_ACCMODE) != O_RDONLY && control >= 0) {
        char what = 0;
        if (real_pread(control, &what, 1, 0) == 1 && what == 'R') { errno = EROFS; return -1; }
    }
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < MOST) kinds[fd] = (signed char)file;
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < MOST) kinds[fd] = OTHER;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    int file = kind(fd);
    if (file && (errno = fault(0))) return -1;
    ssize_t done = real_pwrite(fd, data, size, at);
    if (file && done > 0) note('W', file, at, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t pread64(int fd, void *data, size_t size, off_t at) {
    if (kind(fd) && (errno = fault(1))) return -1;
    return real_pread(fd, data, size, at);
}

ssize_t pread(int fd, void *data, size_t size, off_t at) { return pread64(fd, data, size, at); }

int fsync(int fd) {
    int file = kind(fd);
    if (file && (errno = fault(0))) return -1;
    int done = real_fsync(fd);
    if (file && !done) note('S', file, 0, 0, 0);
    return done;
}

int fdatasync(int fd) {
    int file = kind(fd);
    if (file && (errno = fault(0))) return -1;
    int done = real_fdatasync(fd);
    if (file && !done) note('S', file, 0, 0, 0);
    return done;
}

int ftruncate64(int fd, off_t size) {
    int file = kind(fd);
    if (file && (errno = fault(0))) return -1;
    int done = real_ftruncate(fd, size);
    if (file && !done) note('T', file, size, 0, 0);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int unlink(const char *path) {
    int file = kind_of(path);
    int done = real_unlink(path);
    if (file && !done) note('U', file, 0, 0, 0);
    return done;
}
