/* Polls one URL over N keep-alive connections, each with one request under way, for some seconds.
 *
 *   poll_client PORT PATH CONNECTIONS HEADER
 *
 * HEADER is sent with every request, such as "If-None-Match: \"...\""; empty for none. Prints {"ready":N}; the command
 * `run SECONDS` on stdin answers with what was counted. An answer ends where its Content-Length says, or at the end of
 * its head if it has none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER 65536

struct connection {
    int fd;
    uint64_t sent_ns;
    size_t size;
    char buffer[BUFFER];
};

static char request[4096];
static size_t request_size;

static void die(const char *what) { perror(what); exit(1); }

static uint64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void ask(struct connection *c) {
    c->sent_ns = clock_ns(CLOCK_MONOTONIC);
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) die("send");
}

/* Whether the buffer holds a whole answer. */
static int answered(struct connection *c, int *status) {
    char *end = memmem(c->buffer, c->size, "\r\n\r\n", 4), *at;
    size_t body = 0;
    if (!end) return 0;
    *status = atoi(c->buffer + 9);
    *end = 0;
    if ((at = strcasestr(c->buffer, "\r\ncontent-length:"))) body = strtoul(at + 17, NULL, 10);
    *end = '\r';
    return c->size >= (size_t)(end - c->buffer) + 4 + body;
}

static void run(struct connection *connections, int count, int epoll, double seconds) {
    static struct epoll_event happened[256];
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), answers = 0, waited = 0, now;
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    int under_way = count, status = 0;
    for (int i = 0; i < count; i++) ask(&connections[i]);
    while (under_way) {
        int ready = epoll_wait(epoll, happened, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = happened[i].data.ptr;
            ssize_t got = recv(c->fd, c->buffer + c->size, BUFFER - 1 - c->size, 0);
            if (got <= 0) die("recv");
            c->size += (size_t)got;
            c->buffer[c->size] = 0;
            if (!answered(c, &status)) continue;
            c->size = 0;
            answers++;
            now = clock_ns(CLOCK_MONOTONIC);
            waited += now - c->sent_ns;
            if (now < end) ask(c);
            else under_way--;
        }
    }
    now = clock_ns(CLOCK_MONOTONIC);
    printf("{\"answers\":%lu,\"status\":%d,\"seconds\":%.6f,\"mean_ms\":%.4f,\"cpu_s\":%.6f}\n", answers, status,
           (double)(now - begin) / 1e9, (double)waited / 1e6 / (double)answers,
           (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char line[128];
    double seconds;
    if (argc != 5) { fprintf(stderr, "see the comment at the top of poll_client.c\n"); return 2; }
    int count = atoi(argv[3]), epoll = epoll_create1(0), one = 1;
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    request_size = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s%s\r\n",
                                    argv[2], argv[1], argv[4], *argv[4] ? "\r\n" : "");
    for (int i = 0; i < count; i++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connections[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connections[i].fd, (struct sockaddr *)&address, sizeof address)) die("connect");
        setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &wanted);
    }
    printf("{\"ready\":%d}\n", count);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "run %lf", &seconds) == 1) run(connections, count, epoll, seconds);
}
