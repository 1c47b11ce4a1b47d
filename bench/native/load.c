/* A load generator: sends each of a file's requests once, over N connections, and writes down how long each took.
 *
 * Every signed call can be used only once, and "the slowest of 100,000" means exactly those: that is why this is not wrk.
 *
 *   load REQUESTS PORT CONNECTIONS FIRST COUNT RATE OUT
 *
 * REQUESTS: a 32-bit length (little endian), then the request's bytes, and so on. FIRST: how many to pass over. RATE:
 * calls a second at even distances; 0: the next one as soon as a connection is free. OUT gets a line for each call:
 * when it began (monotonic clock, ns), ns until its answer was whole, status (0: no answer). At the end a line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ANSWER 65536

struct connection {
    int fd, tries;
    long call; /* -1: none */
    const char *data;
    uint32_t size, sent, got;
    char answer[ANSWER];
};

static int loop, port;
static long first, count, started, ended, connects;
static double rate;
static const char **data;
static uint32_t *sizes;
static uint64_t *begun, *took, origin;
static int *status;
static struct connection *idle[65536];
static int idles;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(loop, operation, c->fd, &event)) die("epoll_ctl");
}

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    connects++;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void push(struct connection *c) {
    while (c->sent < c->size) {
        ssize_t n = send(c->fd, c->data + c->sent, c->size - c->sent, MSG_NOSIGNAL);
        if (n < 0) return; /* EAGAIN: epoll tells; an error shows when reading */
        c->sent += n;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(struct connection *c) {
    c->call = started++;
    c->data = data[c->call];
    c->size = sizes[c->call];
    c->sent = c->got = c->tries = 0;
    begun[c->call] = now();
    if (c->fd < 0) open_connection(c); else push(c);
}

static void finish(struct connection *c, int code, int keep) {
    took[c->call] = now() - begun[c->call];
    status[c->call] = code;
    c->call = -1;
    ended++;
    if (!keep) {
        close(c->fd);
        c->fd = -1;
    }
    if (started < count && rate <= 0) begin(c); else idle[idles++] = c;
}

static void again(struct connection *c) { /* a kept connection was closed just as we wrote: that is no answer */
    close(c->fd);
    c->fd = -1;
    if (++c->tries > 3) {
        finish(c, 0, 1);
        return;
    }
    c->sent = c->got = 0;
    open_connection(c);
}

static void readable(struct connection *c) {
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER - 1 - c->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (c->call < 0) { /* the server ends a resting connection */
        close(c->fd);
        c->fd = -1;
        return;
    }
    if (n <= 0) {
        again(c);
        return;
    }
    c->got += n;
    c->answer[c->got] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    long body = length && length < end ? atol(length + 17) : 0;
    if ((long)c->got < end + 4 - c->answer + body) return;
    char *close_it = strcasestr(c->answer, "\r\nconnection: close");
    finish(c, atoi(c->answer + 9), !(close_it && close_it < end));
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 8) return 64;
    int file = open(argv[1], O_RDONLY), connections = atoi(argv[3]);
    struct stat info;
    if (file < 0 || fstat(file, &info)) die(argv[1]);
    port = atoi(argv[2]), first = atol(argv[4]), count = atol(argv[5]), rate = atof(argv[6]);
    char *all = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    data = calloc(count, sizeof *data), sizes = calloc(count, sizeof *sizes), begun = calloc(count, sizeof *begun);
    took = calloc(count, sizeof *took), status = calloc(count, sizeof *status);
    char *at = all;
    for (long i = -first; i < count; i++) {
        uint32_t size;
        if (at >= all + info.st_size) { fprintf(stderr, "not enough requests\n"); return 65; }
        memcpy(&size, at, 4);
        if (i >= 0) data[i] = at + 4, sizes[i] = size;
        at += 4 + size;
    }
    loop = epoll_create1(0);
    struct connection *all_of = calloc(connections, sizeof *all_of);
    origin = now();
    for (int i = 0; i < connections; i++) {
        all_of[i].fd = -1, all_of[i].call = -1;
        if (rate <= 0 && started < count) begin(&all_of[i]); else idle[idles++] = &all_of[i];
    }
    struct epoll_event events[256];
    while (ended < count) {
        int wait = 1000;
        if (rate > 0 && started < count) {
            double due = origin + started * 1e9 / rate, here = now();
            while (due <= here && idles && started < count) {
                begin(idle[--idles]);
                due = origin + started * 1e9 / rate;
            }
            wait = due > here ? (int)((due - here) / 1e6) : 1;
        }
        int n = epoll_wait(loop, events, 256, wait);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->fd < 0) continue;
            if (events[i].events & EPOLLOUT && c->call >= 0 && c->sent < c->size) push(c);
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(c);
        }
    }
    double seconds = (now() - origin) / 1e9;
    FILE *out = fopen(argv[7], "w");
    long good = 0;
    for (long i = 0; i < count; i++) {
        fprintf(out, "%lu %lu %d\n", begun[i], took[i], status[i]);
        good += status[i] == 200;
    }
    fclose(out);
    qsort(took, count, sizeof *took, by_value);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"calls\": %ld, \"good\": %ld, \"seconds\": %.6f, \"connects\": %ld, \"cpu\": %.6f, \"p50\": %.6f, \"p99\": %.6f, "
           "\"max\": %.6f}\n", count, good, seconds, connects, cpu, took[count / 2] / 1e9, took[(long)(count * 0.99)] / 1e9,
           took[count - 1] / 1e9);
    return 0;
}
