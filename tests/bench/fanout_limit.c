/* The limit: what the machine can deliver to N WebSocket connections with nothing but send().
 *
 * Speaks just enough WebSocket for fanout_client.c: it answers every handshake with 101 and every subscription with
 * caught_up, without looking at them. It stores nothing, and a reader that is slow holds up all others.
 *
 * Prints {"port":P}, then obeys commands, a line each on stdin, and answers each with one JSON object; the words are
 * those of producing.py:
 *   new PROGRESS_FILE CONNECTIONS     all connections from now on belong to one log, which begins at 1
 *   publish MODE SIZE SECONDS RATE WINDOW
 *                                     MODE single or tick: one event per frame; burst or bursts: 64; paced: RATE
 *                                     events/s
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 65536
#define BURST 64
#define BATCH_LIMIT 4096      /* events of one frame, when pacing has fallen behind */
#define TASK_ID "0123456789abcdef"

static int *sockets, count, epoll, listener;
static char *greeted;
static uint64_t published;
static volatile uint64_t *progress;
static char *frame;

static void die(const char *what) { perror(what); exit(1); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent >= 0) { data += sent; size -= (size_t)sent; continue; }
        if (errno != EAGAIN) return;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        poll(&wait, 1, -1);
    }
}

static size_t put_event(char *at, uint64_t id, size_t size, uint64_t t) {
    size_t used = (size_t)sprintf(at,
        "{\"event_id\":%lu,\"task_id\":\"" TASK_ID "\",\"timestamp\":\"2026-01-01T00:00:00.000000Z\","
        "\"agent_role\":\"Engineer\",\"event_type\":\"TOKEN\",\"payload\":{\"t\":%lu,\"message\":\"", id, t);
    memset(at + used, 'x', size - used - 3);
    memcpy(at + size - 3, "\"}}", 3);
    return size;
}

/* One frame of `batch` events; where it begins in `frame`, and its size. */
static char *build(size_t batch, size_t size, size_t *length) {
    char *payload = frame + 10, *at = payload;
    uint64_t t = now_ns();
    at += sprintf(at, "{\"op\":\"events\",\"task_id\":\"" TASK_ID "\",\"events\":[");
    for (size_t i = 0; i < batch; i++) {
        if (i) *at++ = ',';
        at += put_event(at, ++published, size, t);
    }
    at += sprintf(at, "],\"head\":%lu}", published);
    size_t bytes = (size_t)(at - payload), head = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;
    unsigned char *begin = (unsigned char *)payload - head;
    begin[0] = 0x81;
    begin[1] = (unsigned char)(head == 2 ? bytes : head == 4 ? 126 : 127);
    for (size_t i = 2; i < head; i++) begin[i] = (unsigned char)(bytes >> 8 * (head - 1 - i));
    *length = head + bytes;
    return (char *)begin;
}

static void publish_batch(size_t batch, size_t size) {
    size_t length;
    char *data = build(batch, size, &length);
    for (int i = 0; i < count; i++) send_all(sockets[i], data, length);
}

static void publish(const char *mode, size_t size, double seconds, double rate, uint64_t window) {
    size_t batch = strncmp(mode, "burst", 5) ? 1 : BURST;
    int paced = !strcmp(mode, "paced");
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), before = published, t;
    while ((t = now_ns()) < end) {
        if (paced) {
            uint64_t due = (uint64_t)((double)(t - begin) / 1e9 * rate) - (published - before);
            if (due) publish_batch(due < BATCH_LIMIT ? due : BATCH_LIMIT, size);
            else usleep(1000);
        } else {
            while (published * (uint64_t)count > *progress + window * (uint64_t)count) usleep(50);
            publish_batch(batch, size);
        }
    }
    printf("{\"begin_ns\":%lu,\"published\":%lu,\"last_id\":%lu}\n", begin, published - before, published);
}

static void command(const char *line) {
    char word[16] = "", argument[4096] = "";
    unsigned long size, window;
    double seconds, rate;
    sscanf(line, "%15s %4095s", word, argument);
    if (!strcmp(word, "publish") && sscanf(line, "%*s %*s %lu %lf %lf %lu", &size, &seconds, &rate, &window) == 4) {
        publish(argument, size, seconds, rate, window);
    } else if (!strcmp(word, "new")) {
        int file = open(argument, O_RDWR);
        progress = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
        if (file < 0 || progress == MAP_FAILED) die(argument);
        published = 0;
        printf("{\"task_id\":\"" TASK_ID "\"}\n");
    } else {
        printf("{\"error\":\"unknown\"}\n");
    }
    fflush(stdout);
}

static void on_stdin(void) {
    static char lines[8192];
    static size_t size;
    ssize_t got = read(0, lines + size, sizeof lines - 1 - size);
    char *newline;
    if (got <= 0) exit(0);
    size += (size_t)got;
    lines[size] = 0;
    while ((newline = memchr(lines, '\n', size))) {
        *newline = 0;
        command(lines);
        size -= (size_t)(newline + 1 - lines);
        memmove(lines, newline + 1, size);
    }
}

static void on_connection(void) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= CONNECTIONS) die("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    greeted[fd] = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted);
}

/* A request or a subscription comes in one piece on loopback: what arrives is not even looked at. */
static void on_readable(int fd) {
    static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: not-looked-at\r\n\r\n";
    static const char caught_up[] = "\x81\x12{\"op\":\"caught_up\"}";
    char data[8192];
    ssize_t got = recv(fd, data, sizeof data, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return;
        for (int i = 0; i < count; i++)
            if (sockets[i] == fd) { sockets[i] = sockets[--count]; break; }
        close(fd);
    } else if (greeted[fd] == 0) {
        greeted[fd] = 1;
        send_all(fd, accepted, sizeof accepted - 1);
    } else if (greeted[fd] == 1) {
        greeted[fd] = 2;
        sockets[count++] = fd;
        send_all(fd, caught_up, sizeof caught_up - 1);
    }
}

int main(void) {
    static struct epoll_event happened[1024];
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event wanted = {.events = EPOLLIN};
    socklen_t size = sizeof address;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sockets = malloc(CONNECTIONS * sizeof *sockets);
    greeted = calloc(CONNECTIONS, 1);
    frame = malloc((size_t)BATCH_LIMIT * 4096);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    epoll = epoll_create1(0);
    wanted.data.fd = listener;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
    wanted.data.fd = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &wanted);
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, happened, 1024, -1);
        for (int i = 0; i < ready; i++) {
            if (happened[i].data.fd == listener) on_connection();
            else if (happened[i].data.fd == 0) on_stdin();
            else on_readable(happened[i].data.fd);
        }
    }
}
