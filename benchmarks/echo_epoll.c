/* The limit on this machine: a server in C on epoll that answers datapack frames with themselves, one write a batch.

   echo_epoll PORT      command 2 sends the body to every connection, all others are echoed */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER 17
#define ROOM (256 * 1024)
#define MOST 65536

struct peer {
    int fd;
    uint8_t *tail, *unsent; /* a frame whose rest has not arrived; what the socket did not take */
    size_t tail_size, unsent_size;
};

static struct peer *peers[MOST];
static int poller, highest;
static uint8_t room[ROOM * 2];

static void forget(struct peer *peer) {
    peers[peer->fd] = NULL;
    close(peer->fd);
    free(peer->tail);
    free(peer->unsent);
    free(peer);
}

static void watch(struct peer *peer, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = peer};
    epoll_ctl(poller, operation, peer->fd, &event);
}

static void keep(uint8_t **to, size_t *size, const uint8_t *data, size_t n) {
    *to = realloc(*to, *size + n);
    memcpy(*to + *size, data, n);
    *size += n;
}

static void answer(struct peer *peer, const uint8_t *data, size_t n) { /* a slow reader is not read until it took all */
    if (!peer->unsent_size) {
        ssize_t k = send(peer->fd, data, n, MSG_NOSIGNAL);
        if (k > 0) data += k, n -= (size_t)k;
        if (!n) return;
        watch(peer, EPOLL_CTL_MOD, EPOLLOUT);
    }
    keep(&peer->unsent, &peer->unsent_size, data, n);
}

static void flush(struct peer *peer) {
    ssize_t k = send(peer->fd, peer->unsent, peer->unsent_size, MSG_NOSIGNAL);
    if (k <= 0) return;
    peer->unsent_size -= (size_t)k;
    memmove(peer->unsent, peer->unsent + k, peer->unsent_size);
    if (!peer->unsent_size) watch(peer, EPOLL_CTL_MOD, EPOLLIN);
}

static uint32_t word(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return ntohl(value);
}

static void serve(struct peer *peer) {
    size_t n = peer->tail_size, at = 0;
    memcpy(room, peer->tail, n);
    ssize_t k = recv(peer->fd, room + n, ROOM, 0);
    if (k < 0 && errno == EAGAIN) return;
    if (k <= 0) return forget(peer);
    n += (size_t)k;
    while (n - at >= HEADER) {
        size_t size = 13 + word(room + at + 9);
        if (size < HEADER || size > ROOM) return forget(peer);
        if (size > n - at) break;
        if (word(room + at + 13) == 2)
            for (int fd = 0; fd <= highest; fd++)
                if (peers[fd]) answer(peers[fd], room + at, size);
        at += size;
    }
    peer->tail_size = 0;
    if (at < n) keep(&peer->tail, &peer->tail_size, room + at, n - at);
    if (at) answer(peer, room, at);
}

static void welcome(int listener) {
    for (int i = 0; i < 64; i++) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        if (fd >= MOST) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct peer *peer = peers[fd] = calloc(1, sizeof *peer);
        peer->fd = fd;
        if (fd > highest) highest = fd;
        watch(peer, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int argc, char **argv) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) welcome(listener);
            else if (events[i].events & EPOLLOUT) flush(peer);
            else serve(peer);
        }
    }
}
