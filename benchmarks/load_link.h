/* One client connection: opening it, framing, sending, and taking what arrived apart into frames. */
#ifndef LOAD_LINK_H
#define LOAD_LINK_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum framing { DATAPACK, WEBSOCKET, PINUS };

struct bytes {
    uint8_t *data;
    size_t size;
};

struct plan { /* what every connection of a run has in common */
    const char *host, *path;
    int port, sources, text, greetings;
    enum framing framing;
    struct bytes hello, ready, request;
    long id_at; /* where the request carries a decimal number of seven digits that changes; -1: nowhere */
    char **paths;
    long path_count;
};

struct link {
    int fd;
    uint8_t *tail;          /* the beginning of a frame whose rest has not arrived */
    size_t tail_size, tail_room;
    uint8_t *out;           /* what the socket did not take yet */
    size_t out_size, out_at, out_room;
    uint64_t *sent;         /* when each open request was sent, a ring */
    uint32_t sent_room, sent_at, open;
    uint64_t served;
    uint32_t next_id;
    int waiting_writable;
};

static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* The length of the first frame in `p`, 0 while it is not complete; `*counts` says whether it is a message. */
static inline size_t frame_size(enum framing framing, const uint8_t *p, size_t n, int *counts) {
    size_t size;
    *counts = 1;
    switch (framing) {
    case DATAPACK:
        if (n < 17) return 0;
        size = 13 + ((size_t)p[9] << 24 | (size_t)p[10] << 16 | (size_t)p[11] << 8 | p[12]);
        break;
    case PINUS:
        if (n < 4) return 0;
        size = 4 + ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
        *counts = p[0] != 3; /* a heartbeat */
        break;
    default:
        if (n < 2) return 0;
        size = 2 + (p[1] & 127u);
        if ((p[1] & 127) == 126) {
            if (n < 4) return 0;
            size = 4 + ((size_t)p[2] << 8 | p[3]);
        } else if ((p[1] & 127) == 127)
            die("a frame of 64 KiB or more");
        if ((p[0] & 15) == 8) die("the server closed the WebSocket");
        *counts = (p[0] & 15) < 8;
    }
    return size <= n ? size : 0;
}

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Write one message as it goes over the wire; gives its size. `out` holds at least size + 8. */
static inline size_t wrap(const struct plan *plan, struct bytes message, uint32_t id, uint8_t *out) {
    uint8_t *body = out;
    if (plan->framing == WEBSOCKET) {
        out[0] = (uint8_t)(0x80 | (plan->text ? 1 : 2));
        if (message.size < 126) {
            out[1] = (uint8_t)(0x80 | message.size);
            body = out + 2;
        } else {
            out[1] = 0x80 | 126;
            out[2] = (uint8_t)(message.size >> 8);
            out[3] = (uint8_t)message.size;
            body = out + 4;
        }
        memcpy(body, MASK, 4);
        body += 4;
    }
    memcpy(body, message.data, message.size);
    if (id) /* seven digits, the first never 0 */
        for (int digit = 6; digit >= 0; digit--, id /= 10) body[plan->id_at + digit] = (uint8_t)('0' + id % 10);
    if (plan->framing == WEBSOCKET)
        for (size_t i = 0; i < message.size; i++) body[i] ^= MASK[i & 3];
    return (size_t)(body - out) + message.size;
}

static inline void link_keep(uint8_t **to, size_t *size, size_t *room, const uint8_t *data, size_t n) {
    if (*size + n > *room) {
        *room = (*size + n) * 2;
        *to = realloc(*to, *room);
        if (!*to) die("out of memory");
    }
    memcpy(*to + *size, data, n);
    *size += n;
}

static inline void link_watch(struct link *link, int epoll, int operation, int writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = link};
    if (epoll_ctl(epoll, operation, link->fd, &event)) die("epoll_ctl: %s", strerror(errno));
    link->waiting_writable = writable;
}

static inline void link_send(struct link *link, int epoll, const uint8_t *data, size_t n) {
    if (link->out_size == 0) {
        ssize_t k = send(link->fd, data, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN) die("send: %s", strerror(errno));
        if (k > 0) data += k, n -= (size_t)k;
    }
    if (n) {
        link_keep(&link->out, &link->out_size, &link->out_room, data, n);
        if (!link->waiting_writable) link_watch(link, epoll, EPOLL_CTL_MOD, 1);
    }
}

static inline void link_flush(struct link *link, int epoll) {
    ssize_t k = send(link->fd, link->out + link->out_at, link->out_size - link->out_at, MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN) die("send: %s", strerror(errno));
    if (k > 0) link->out_at += (size_t)k;
    if (link->out_at == link->out_size) {
        link->out_at = link->out_size = 0;
        link_watch(link, epoll, EPOLL_CTL_MOD, 0);
    }
}

static inline void link_write_now(struct link *link, const void *data, size_t n) { /* while opening: blocking */
    if (n && send(link->fd, data, n, MSG_NOSIGNAL) != (ssize_t)n) die("send while opening: %s", strerror(errno));
}

static inline void link_read_now(struct link *link) {
    uint8_t chunk[4096];
    ssize_t k = recv(link->fd, chunk, sizeof chunk, 0);
    if (k <= 0) die("the server closed a connection while it was opened: %s", k ? strerror(errno) : "end");
    link_keep(&link->tail, &link->tail_size, &link->tail_room, chunk, (size_t)k);
}

static inline void link_upgrade(struct link *link, const struct plan *plan, const char *path) {
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     path, plan->host, plan->port);
    link_write_now(link, text, (size_t)n);
    for (;;) {
        link_read_now(link);
        uint8_t *end = memmem(link->tail, link->tail_size, "\r\n\r\n", 4);
        if (!end) continue;
        if (memcmp(link->tail, "HTTP/1.1 101", 12)) die("no upgrade: %.60s", (char *)link->tail);
        link->tail_size -= (size_t)(end + 4 - link->tail);
        memmove(link->tail, end + 4, link->tail_size);
        return;
    }
}

static inline void link_connect(struct link *link, const struct plan *plan, uint32_t number) {
    int one = 1;
    struct timeval patience = {.tv_sec = 10};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan->port)};
    if (inet_pton(AF_INET, plan->host, &to.sin_addr) != 1) die("host is no IPv4 address");
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0) die("socket: %s", strerror(errno));
    if (plan->sources > 1) { /* many source addresses: more ports than one address has */
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000001u + number % (uint32_t)plan->sources);
        setsockopt(link->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
        if (bind(link->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(link->fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    link->next_id = 1000000;
}

static inline void link_unblock(struct link *link) {
    fcntl(link->fd, F_SETFL, fcntl(link->fd, F_GETFL) | O_NONBLOCK);
}

static inline void link_await(struct link *link, const struct plan *plan, int frames) { /* blocking */
    while (frames > 0) {
        int counts;
        size_t size = frame_size(plan->framing, link->tail, link->tail_size, &counts);
        if (!size) {
            link_read_now(link);
            continue;
        }
        frames -= counts;
        link->tail_size -= size;
        memmove(link->tail, link->tail + size, link->tail_size);
    }
}

static inline void link_say(struct link *link, const struct plan *plan, struct bytes message) { /* blocking */
    uint8_t out[65536 + 8];
    if (message.size) link_write_now(link, out, wrap(plan, message, 0, out));
}

/* Connect and go through the opening of the protocol; the link is non-blocking afterwards. */
static inline void link_open(struct link *link, const struct plan *plan, uint32_t number) {
    link_connect(link, plan, number);
    if (plan->framing == WEBSOCKET)
        link_upgrade(link, plan, plan->path_count ? plan->paths[number % plan->path_count] : plan->path);
    link_say(link, plan, plan->hello);
    link_await(link, plan, plan->greetings);
    link_say(link, plan, plan->ready);
    link_unblock(link);
}

#endif
