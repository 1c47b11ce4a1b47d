/* A CRM that costs next to nothing: answers after a fixed time, and writes down all that it was sent.
 *
 *   sink LATENCY_MS LOG PORT_FILE
 *
 * What was written is checked afterwards: LOG gets, for each request, when it was here whole (monotonic clock, ns; 64 bit),
 * the lengths of request line and body (32 bit each, little endian), and both. GET /_count tells how many there were
 * (these themselves left out). PATCH /things/7 answers {"id": "7"}, PUT /things/by/key/7 too, POST /things a new ID,
 * GET finds nothing. LOG is whole when the process was ended by SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 1048576
#define WAITING 65536

struct connection {
    int fd, gone;
    uint32_t got, generation;
    char data[ROOM];
};

struct answer {
    struct connection *to;
    uint32_t generation;
    uint64_t due;
    int size;
    char text[256];
};

static struct answer waiting[WAITING];
static unsigned head, tail;
static uint64_t latency, requests, last;
static long new_id = 1000000;
static FILE *log_file;
static volatile sig_atomic_t over;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void end(int signal) { (void)signal; over = 1; }

static void answer(struct connection *c, const char *line, size_t line_size, uint32_t body) {
    struct answer *a = &waiting[tail++ % WAITING];
    char text[160];
    const char *status = "200 OK";
    int admin = !strncmp(line, "GET /_count", 11);
    const char *path_end = memchr(line + 6, ' ', line_size - 6), *slash = path_end ? memrchr(line, '/', path_end - line) : line;
    uint64_t at = now();
    if (admin) snprintf(text, sizeof text, "{\"requests\": %lu, \"last\": %lu}", requests, last);
    else if (!strncmp(line, "GET ", 4)) strcpy(text, "{\"results\": [], \"next\": null}");
    else if (!strncmp(line, "POST ", 5)) snprintf(text, sizeof text, "{\"id\": \"%ld\"}", ++new_id), status = "201 Created";
    else snprintf(text, sizeof text, "{\"id\": \"%.*s\"}", (int)(path_end - slash - 1), slash + 1);
    if (!admin) {
        uint32_t sizes[2] = {line_size, body};
        requests++, last = at;
        fwrite(&at, 8, 1, log_file), fwrite(sizes, 8, 1, log_file), fwrite(line, line_size, 1, log_file);
        fwrite(strstr(line, "\r\n\r\n") + 4, body, 1, log_file);
    }
    a->to = c, a->generation = c->generation, a->due = at + (admin ? 0 : latency);
    a->size = snprintf(a->text, sizeof a->text, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       status, strlen(text), text);
}

static void readable(struct connection *c) {
    ssize_t n = recv(c->fd, c->data + c->got, ROOM - 1 - c->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        close(c->fd);
        c->gone = 1, c->generation++;
        return;
    }
    c->got += n;
    for (;;) {
        c->data[c->got] = 0;
        char *head_end = strstr(c->data, "\r\n\r\n");
        if (!head_end) return;
        char *length = strcasestr(c->data, "\r\ncontent-length:");
        uint32_t body = length && length < head_end ? atol(length + 17) : 0;
        uint32_t size = head_end + 4 - c->data + body;
        if (c->got < size) return;
        answer(c, c->data, strstr(c->data, "\r\n") - c->data, body);
        memmove(c->data, c->data + size, c->got - size);
        c->got -= size;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 64;
    latency = (uint64_t)(atof(argv[1]) * 1e6);
    log_file = fopen(argv[2], "w");
    setvbuf(log_file, NULL, _IOFBF, 1 << 20);
    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), loop = epoll_create1(0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t here_size = sizeof here;
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&here, &here_size);
    char name[4096];
    snprintf(name, sizeof name, "%s.new", argv[3]);
    FILE *port_file = fopen(name, "w");
    fprintf(port_file, "%d\n", ntohs(here.sin_port));
    fclose(port_file);
    rename(name, argv[3]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    while (!over) {
        struct timespec wait = {1, 0};
        if (head != tail) {
            uint64_t at = now(), due = waiting[head % WAITING].due;
            wait.tv_sec = 0, wait.tv_nsec = due > at ? due - at : 0;
        }
        int n = epoll_pwait2(loop, events, 256, &wait, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                readable(events[i].data.ptr);
                continue;
            }
            struct connection *c = malloc(sizeof *c);
            c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), c->got = c->gone = 0, c->generation = 0;
            setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            struct epoll_event here_it_is = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &here_it_is);
        }
        while (head != tail && waiting[head % WAITING].due <= now()) {
            struct answer *a = &waiting[head++ % WAITING];
            if (!a->to->gone && a->to->generation == a->generation) send(a->to->fd, a->text, a->size, MSG_NOSIGNAL);
        }
    }
    fclose(log_file);
    return 0;
}
