/* Preloaded: writes to and syncs of the files whose names begin as FAILING_DISK_FILES says fail with EIO, now and then.
 *
 * FAILING_DISK_STATE names a file that all processes map: how often to fail, and how often it was done. It is there
 * before the process starts, and may be changed at any time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct state {
    _Atomic uint64_t seed;         /* of the sequence of chances */
    _Atomic uint64_t step;         /* how many chances were taken */
    _Atomic uint64_t writes_fail;  /* of a million writes */
    _Atomic uint64_t syncs_fail;   /* of a million syncs */
    _Atomic uint64_t writes;       /* seen */
    _Atomic uint64_t syncs;
    _Atomic uint64_t failed_writes;
    _Atomic uint64_t failed_syncs;
};

static struct state *state;
static char files[512]; /* the folder as the kernel shows it, and how the names begin */
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void find(void) {
    if (real_write) return;
    real_pwrite = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
}

__attribute__((constructor)) static void begin(void) {
    find();
    const char *name = getenv("FAILING_DISK_STATE"), *prefix = getenv("FAILING_DISK_FILES");
    if (!name || !prefix || strlen(prefix) >= sizeof files) return;
    int fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return;
    strcpy(files, prefix);
    state = mapped;
}

static int is_ours(int fd) {
    if (!state) return 0;
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, files, strlen(files)) == 0;
}

/* splitmix64: the n-th chance of a seed is always the same. */
static int strikes(uint64_t of_a_million) {
    if (!of_a_million) return 0;
    uint64_t z = state->seed + 0x9e3779b97f4a7c15ull * ++state->step;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return z % 1000000 < of_a_million;
}

static int write_fails(int fd) {
    int before = errno;
    if (!is_ours(fd)) {
        errno = before;
        return 0;
    }
    errno = before;
    state->writes++;
    if (!strikes(state->writes_fail)) return 0;
    state->failed_writes++;
    errno = EIO;
    return 1;
}

static int sync_fails(int fd) {
    int before = errno;
    if (!is_ours(fd)) {
        errno = before;
        return 0;
    }
    errno = before;
    state->syncs++;
    if (!strikes(state->syncs_fail)) return 0;
    state->failed_syncs++;
    errno = EIO;
    return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    find();
    return write_fails(fd) ? -1 : real_pwrite(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t write(int fd, const void *data, size_t size) {
    find();
    return write_fails(fd) ? -1 : real_write(fd, data, size);
}

int fsync(int fd) {
    find();
    return sync_fails(fd) ? -1 : real_fsync(fd);
}

int fdatasync(int fd) {
    find();
    return sync_fails(fd) ? -1 : real_fdatasync(fd);
}
