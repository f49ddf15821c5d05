/* Opens N WebSocket connections to one server, subscribes each, and checks every event that arrives.
 *
 *   fanout_client PORT PATH CONNECTIONS SUBSCRIBE START PROGRESS_FILE RECEIVE_BUFFER
 *
 * SUBSCRIBE is sent on every connection as one text frame after the handshake; a connection is ready when the server
 * has answered {"op":"caught_up"...}. START is the cursor: the first event must be START + 1, each further one the next.
 * PROGRESS_FILE is mapped: this program counts the events it has received in its first eight bytes, so that a producer
 * can keep from running far ahead. RECEIVE_BUFFER is SO_RCVBUF in bytes, 0 for the system's choice.
 *
 * Commands, a line each on stdin; what is printed is one JSON object per line:
 *   begin SAMPLE   forget the counts, and say {}; take the latency of every SAMPLE-th event from now on, 0 for of none
 *   until ID       print the counts once every connection that reads has received event ID
 *   now            print the counts at once
 *   stall K        stop reading from the first K connections
 *   unstall        read from all again
 * Before that it prints {"ready":N,...}. It ends at the end of stdin.
 *
 * An event is found by its first key, {"event_id":, wherever it stands in a frame, so one parser fits every server. Its
 * latency is now minus the number after "t": (CLOCK_MONOTONIC, nanoseconds).
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
#include <time.h>
#include <unistd.h>

#define BUFFER (4 << 20)      /* bytes; also the largest frame that is understood */
#define OPENING 256           /* handshakes under way at the same time */
#define SAMPLES (4 << 20)     /* latencies kept of one round */
#define CAUGHT_UP "{\"op\":\"caught_up\""
#define EVENT "{\"event_id\":"

enum state { CLOSED, HANDSHAKE, SUBSCRIBED, READY };

struct connection {
    int fd;
    enum state state;
    int stalled;
    uint64_t last;            /* id of the last event */
    unsigned char *rest;      /* the beginning of a frame that is not complete yet */
    size_t rest_size;
};

static struct connection *connections;
static int total, opened, ready, closed, port, epoll, receive_buffer;
static const char *path, *subscribe;
static uint64_t start, until, behind;
static volatile uint64_t *progress;
static unsigned char *buffer;

static uint64_t received_ever, events, frames, bytes, gaps, duplicates, first_ns, last_ns, begin_ns, connect_ns, sample;
static double begin_cpu;
static float *samples;
static size_t sampled;

static void die(const char *what) { perror(what); exit(1); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void begin(uint64_t every) {
    events = frames = bytes = gaps = duplicates = first_ns = last_ns = 0;
    sampled = 0;
    sample = every;
    begin_ns = now_ns();
    begin_cpu = cpu_s();
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) { return sampled ? samples[(size_t)(q * (double)(sampled - 1))] : -1; }

static void report(void) {
    double wall = (double)(now_ns() - begin_ns) / 1e9, cpu = cpu_s() - begin_cpu;
    qsort(samples, sampled, sizeof *samples, ascending);
    printf("{\"connections\":%d,\"closed\":%d,\"behind\":%lu,\"events\":%lu,\"frames\":%lu,\"bytes\":%lu,\"gaps\":%lu,"
           "\"duplicates\":%lu,\"first_ns\":%lu,\"last_ns\":%lu,\"connect_ns\":%lu,\"wall_s\":%.6f,\"cpu_s\":%.6f,"
           "\"samples\":%zu,\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f}\n",
           ready, closed, behind, events, frames, bytes, gaps, duplicates, first_ns, last_ns, connect_ns, wall, cpu,
           sampled, quantile(0.5), quantile(0.99), quantile(1));
    fflush(stdout);
}

/* Send a masked frame; the mask is zero, so that the payload stays as it is. */
static void send_frame(int fd, int opcode, const void *payload, size_t size) {
    unsigned char frame[8 + 4096];
    size_t head = size < 126 ? 2 : 4;
    if (size > 4096) exit(2);
    frame[0] = (unsigned char)(0x80 | opcode);
    frame[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) { frame[2] = (unsigned char)(size >> 8); frame[3] = (unsigned char)size; }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, payload, size);
    if (send(fd, frame, head + 4 + size, MSG_NOSIGNAL) < 0) perror("send");
}

static void close_connection(struct connection *c) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    if (c->state == READY) ready--;
    c->state = CLOSED;
    closed++;
}

static void take_event(struct connection *c, const unsigned char *at, const unsigned char *end, uint64_t received) {
    uint64_t id = 0;
    const unsigned char *digit = at + sizeof EVENT - 1;
    while (digit < end && *digit >= '0' && *digit <= '9') id = id * 10 + (uint64_t)(*digit++ - '0');
    events++;
    received_ever++;
    if (id > c->last + 1) gaps += id - c->last - 1;
    if (id <= c->last) { duplicates++; return; }
    if (c->last < until && id >= until && !c->stalled) behind--;
    c->last = id;
    if (sample && id % sample == 0 && sampled < SAMPLES) {
        size_t room = (size_t)(end - digit);
        const unsigned char *t = memmem(digit, room < 300 ? room : 300, "\"t\":", 4);
        if (t) samples[sampled++] = (float)((double)(received - strtoull((const char *)t + 4, NULL, 10)) / 1e6);
    }
}

/* Events of one frame usually have one length: the place of the next one is guessed, and searched where it is not. */
static void take_text(struct connection *c, const unsigned char *payload, size_t size) {
    const unsigned char *at, *end = payload + size;
    const size_t key = sizeof EVENT - 1;
    size_t stride = 0;
    uint64_t received;
    if (c->state == SUBSCRIBED && size >= sizeof CAUGHT_UP - 1 && !memcmp(payload, CAUGHT_UP, sizeof CAUGHT_UP - 1)) {
        c->state = READY;
        ready++;
        return;
    }
    at = memmem(payload, size, EVENT, key);
    if (!at) return;
    received = now_ns();
    if (!first_ns) first_ns = received;
    last_ns = received;
    while (at) {
        const unsigned char *next = stride && at + stride + key <= end && !memcmp(at + stride, EVENT, key)
            ? at + stride
            : memmem(at + key, (size_t)(end - at) - key, EVENT, key);
        take_event(c, at, end, received);
        if (next) stride = (size_t)(next - at);
        at = next;
    }
}

/* Take all whole frames; the number of bytes taken. */
static size_t take_frames(struct connection *c, const unsigned char *data, size_t size) {
    size_t taken = 0;
    while (size - taken >= 2) {
        const unsigned char *frame = data + taken;
        size_t left = size - taken, head = 2, length = frame[1] & 127;
        if (length == 126) {
            head = 4;
            if (left < head) break;
            length = (size_t)frame[2] << 8 | frame[3];
        } else if (length == 127) {
            head = 10;
            if (left < head) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | frame[i];
        }
        if (left < head + length) break;
        switch (frame[0] & 15) {
        case 0: case 1: case 2: frames++; take_text(c, frame + head, length); break;
        case 8: close_connection(c); return size;
        case 9: send_frame(c->fd, 10, frame + head, length); break;
        }
        taken += head + length;
    }
    return taken;
}

static size_t take_handshake(struct connection *c, const unsigned char *data, size_t size) {
    const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "refused: %.*s\n", (int)(end - data), data);
        exit(3);
    }
    c->state = SUBSCRIBED;
    send_frame(c->fd, 1, subscribe, strlen(subscribe));
    return (size_t)(end - data) + 4;
}

static void on_readable(struct connection *c) {
    size_t size = c->rest_size, taken = 0;
    if (size) memcpy(buffer, c->rest, size);
    if (size >= BUFFER) { fprintf(stderr, "a frame is too large\n"); exit(4); }
    ssize_t got = recv(c->fd, buffer + size, BUFFER - size, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return;
        close_connection(c);
        return;
    }
    bytes += (uint64_t)got;
    size += (size_t)got;
    if (c->state == HANDSHAKE) taken = take_handshake(c, buffer, size);
    if (c->state != HANDSHAKE) taken += take_frames(c, buffer + taken, size - taken);
    c->rest_size = c->state == CLOSED ? 0 : size - taken;
    if (!c->rest_size) { free(c->rest); c->rest = NULL; return; }
    c->rest = realloc(c->rest, c->rest_size);
    memcpy(c->rest, buffer + taken, c->rest_size);
}

static void watch(struct connection *c, int operation) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = c};
    if (c->state != CLOSED && epoll_ctl(epoll, operation, c->fd, &wanted)) die("epoll_ctl");
}

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[512];
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!connect_ns) connect_ns = now_ns();
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("socket");
    if (receive_buffer) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int size = snprintf(request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
    if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) die("send");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->state = HANDSHAKE;
    c->last = start;
    watch(c, EPOLL_CTL_ADD);
}

static void count_behind(void) {
    behind = 0;
    for (int i = 0; i < total; i++) behind += !connections[i].stalled && connections[i].last < until;
}

static int waiting;           /* whether counts are to be printed when nobody is behind */

static void command(char *line) {
    unsigned long number = 0;
    char word[16] = "";
    sscanf(line, "%15s %lu", word, &number);
    if (!strcmp(word, "begin")) { begin(number); printf("{}\n"); fflush(stdout); }
    else if (!strcmp(word, "until")) { until = number; waiting = 1; count_behind(); }
    else if (!strcmp(word, "now")) { count_behind(); report(); }
    else if (!strcmp(word, "stall"))
        for (int i = 0; i < (int)number && i < total; i++) {
            connections[i].stalled = 1;
            epoll_ctl(epoll, EPOLL_CTL_DEL, connections[i].fd, NULL);
        }
    else if (!strcmp(word, "unstall"))
        for (int i = 0; i < total; i++)
            if (connections[i].stalled) { connections[i].stalled = 0; watch(&connections[i], EPOLL_CTL_ADD); }
}

static void on_stdin(void) {
    static char lines[4096];
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

int main(int argc, char **argv) {
    static struct epoll_event happened[1024];
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL};
    struct rlimit files;
    int told = 0, file;
    if (argc != 8) { fprintf(stderr, "see the comment at the top of fanout_client.c\n"); return 2; }
    port = atoi(argv[1]);
    path = argv[2];
    total = atoi(argv[3]);
    subscribe = argv[4];
    start = strtoull(argv[5], NULL, 10);
    receive_buffer = atoi(argv[7]);
    file = open(argv[6], O_RDWR);
    progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || progress == MAP_FAILED) die(argv[6]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    connections = calloc((size_t)total, sizeof *connections);
    buffer = malloc(BUFFER);
    samples = malloc(SAMPLES * sizeof *samples);
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &wanted);
    begin(0);
    for (;;) {
        while (opened < total && opened - ready - closed < OPENING) open_connection(&connections[opened++]);
        int count = epoll_wait(epoll, happened, 1024, -1);
        for (int i = 0; i < count; i++) {
            if (happened[i].data.ptr) on_readable(happened[i].data.ptr);
            else on_stdin();
        }
        *progress = received_ever;
        if (!told && ready == total) {
            told = 1;
            printf("{\"ready\":%d,\"opening_s\":%.6f}\n", ready, (double)(now_ns() - connect_ns) / 1e9);
            fflush(stdout);
        }
        if (waiting && !behind) { waiting = 0; report(); }
    }
}
