/* The load client: opens connections, keeps requests in flight, and prints one line of JSON.

   load MODE key=value ...

   echo      `connections` x `in_flight` requests in a closed loop; `flood=N` adds one connection with N in flight
             whose answers are counted apart
   receive   connection 0 sends the request, `expect` frames must arrive over all connections, then the next round;
             `join` is sent and answered once on each first
   connect   `in_flight` at a time: connect, one request answered (WebSocket: upgraded), close
   idle      open `connections`, print {"open": N}, hold them until standard input ends

   host port path paths=FILE sources framing=datapack|websocket|pinus text=0|1 seconds warmup
   hello ready request join (hex; WebSocket frames are made here) greetings id_at watch=PID,PID

   Answers come in order, so the oldest open request of a connection is the one answered. `cpu` is what the watched
   processes used between the first and the last moment that counts, in seconds. */
#define _GNU_SOURCE
#include "load_histogram.h"
#include "load_link.h"

#include <dirent.h>

#define BLOCK (64 * 1024)
#define CHUNK (1024 * 1024)
#define WATCHED 16

static struct plan plan = {.host = "127.0.0.1", .path = "/", .sources = 1, .framing = DATAPACK, .id_at = -1};
static struct bytes join;
static uint32_t connections = 1, in_flight = 1, flood, expect;
static double seconds = 1.0, warmup = 0.2;
static int watched[WATCHED], watched_count;

static struct link *links;
static uint32_t link_count;
static int poller;
static uint8_t *chunk, *block;
static size_t block_one, block_messages;

static struct histogram latency;
static uint64_t answers, flood_answers, odd;
static size_t first_size;
static char first[513];
static uint64_t begin_at, end_at, last_answer;
static double cpu_before[WATCHED], cpu_after[WATCHED];
static int measuring;

static double cpu_of(int pid) { /* of all its threads, in seconds */
    char path[64];
    double total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks) return 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        char file[400];
        unsigned long long ns;
        if (task->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s/schedstat", path, task->d_name);
        FILE *f = fopen(file, "r");
        if (!f) continue;
        if (fscanf(f, "%llu", &ns) == 1) total += (double)ns / 1e9;
        fclose(f);
    }
    closedir(tasks);
    return total;
}

/* Begin or end the part that counts when its moment has come; false when the run is over. */
static int clock_turn(uint64_t now) {
    if (!measuring && now >= begin_at) {
        for (int i = 0; i < watched_count; i++) cpu_before[i] = cpu_of(watched[i]);
        begin_at = now_ns();
        end_at = begin_at + (uint64_t)(seconds * 1e9);
        measuring = 1;
    }
    if (measuring && now >= end_at) {
        for (int i = 0; i < watched_count; i++) cpu_after[i] = cpu_of(watched[i]);
        end_at = now;
        return 0;
    }
    if (now > last_answer + 10000000000ull) die("no answer for ten seconds");
    return 1;
}

static void clock_start(void) {
    last_answer = now_ns();
    begin_at = last_answer + (uint64_t)(warmup * 1e9);
}

static void look_at(const uint8_t *frame, size_t size) { /* the first answer is kept, others must be as long */
    if (!first_size) {
        first_size = size;
        for (size_t i = 0; i < size && i < 256; i++) snprintf(first + 2 * i, 3, "%02x", frame[i]);
    } else if (size != first_size)
        odd++;
}

/* Read once and give the number of messages that are complete; what is left of the last waits in the link. */
static uint32_t take(struct link *link, int check) {
    uint32_t messages = 0;
    size_t at = 0, size, n = link->tail_size;
    memcpy(chunk, link->tail, n);
    ssize_t k = recv(link->fd, chunk + n, CHUNK - n, 0);
    if (k < 0 && errno == EAGAIN) return 0;
    if (k <= 0) die("the server closed a connection: %s", k ? strerror(errno) : "end");
    n += (size_t)k;
    for (int counts; (size = frame_size(plan.framing, chunk + at, n - at, &counts)); at += size) {
        if (!counts) continue;
        if (check) look_at(chunk + at, size);
        messages++;
    }
    link->tail_size = 0;
    if (at < n) link_keep(&link->tail, &link->tail_size, &link->tail_room, chunk + at, n - at);
    return messages;
}

static void ask(struct link *link, uint32_t messages, uint64_t now) {
    for (uint32_t i = 0; i < messages; i++) {
        link->sent[(link->sent_at + link->open) % link->sent_room] = now;
        link->open++;
    }
    while (messages) {
        uint32_t now_many = messages < block_messages ? messages : (uint32_t)block_messages;
        if (plan.id_at >= 0)
            for (uint32_t i = 0; i < now_many; i++) {
                if (++link->next_id > 9999999) link->next_id = 1000001;
                wrap(&plan, plan.request, link->next_id, block + i * block_one);
            }
        link_send(link, poller, block, now_many * block_one);
        messages -= now_many;
    }
}

static void answered(struct link *link, uint32_t messages, uint64_t now, struct histogram *into) {
    if (messages > link->open) die("more answers than requests");
    for (uint32_t i = 0; i < messages; i++) {
        uint64_t took = now - link->sent[link->sent_at];
        link->sent_at = (link->sent_at + 1) % link->sent_room;
        if (measuring) histogram_add(into, took, 1);
    }
    link->open -= messages;
    last_answer = now;
}

static void make_block(void) {
    uint8_t one[BLOCK];
    if (plan.request.size > BLOCK / 2) die("the request is too long");
    if (!plan.request.size) return;
    block_one = wrap(&plan, plan.request, plan.id_at >= 0 ? 1000001 : 0, one);
    block_messages = BLOCK / block_one;
    block = malloc(block_messages * block_one + 16);
    for (size_t i = 0; i < block_messages; i++) memcpy(block + i * block_one, one, block_one);
}

static void open_links(uint32_t count) {
    link_count = count;
    links = calloc(count, sizeof *links);
    for (uint32_t i = 0; i < count; i++) {
        link_open(&links[i], &plan, i);
        if (join.size) {
            fcntl(links[i].fd, F_SETFL, fcntl(links[i].fd, F_GETFL) & ~O_NONBLOCK);
            link_say(&links[i], &plan, join);
            link_await(&links[i], &plan, 1);
            link_unblock(&links[i]);
        }
        link_watch(&links[i], poller, EPOLL_CTL_ADD, 0);
    }
}

static void ring(struct link *link, uint32_t room) {
    link->sent_room = room;
    link->sent = malloc(room * sizeof *link->sent);
}

/* Take what is still under way, for at most half a second: the server's next run begins with nothing left over. */
static void drain(void) {
    struct epoll_event events[1024];
    uint64_t open = 0, until = now_ns() + 500000000ull;
    for (uint32_t i = 0; i < link_count; i++) open += links[i].open;
    while (open && now_ns() < until) {
        int n = epoll_wait(poller, events, 1024, 100);
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) link_flush(link, poller);
            uint32_t messages = take(link, 0);
            link->open -= messages;
            open -= messages;
        }
    }
}

static void run_echo(void) {
    struct epoll_event events[1024];
    open_links(connections + (flood ? 1 : 0));
    clock_start();
    for (uint32_t i = 0; i < link_count; i++) {
        uint32_t depth = i < connections ? in_flight : flood;
        ring(&links[i], depth);
        ask(&links[i], depth, now_ns());
    }
    for (uint64_t now = now_ns(); clock_turn(now);) {
        int n = epoll_wait(poller, events, 1024, 1000);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) link_flush(link, poller);
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            uint32_t messages = take(link, 1);
            now = now_ns();
            int flooding = link == links + connections;
            static struct histogram unwanted;
            answered(link, messages, now, flooding ? &unwanted : &latency);
            if (measuring) {
                *(flooding ? &flood_answers : &answers) += messages;
                link->served += messages;
            }
            if (messages) ask(link, messages, now);
        }
    }
    drain();
}

static void run_receive(void) {
    struct epoll_event events[1024];
    uint64_t arrived = 0, round_at;
    open_links(connections);
    if (!expect) expect = connections + 1;
    clock_start();
    round_at = now_ns();
    link_send(&links[0], poller, block, block_one);
    for (uint64_t now = now_ns(); clock_turn(now);) {
        int n = epoll_wait(poller, events, 1024, 1000);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) link_flush(link, poller);
            uint32_t messages = take(link, 0);
            arrived += messages;
            if (measuring) link->served += messages, answers += messages;
        }
        if (arrived > expect) die("%llu frames arrived, %u were expected", (unsigned long long)arrived, expect);
        if (arrived == expect) {
            last_answer = now = now_ns();
            if (measuring) histogram_add(&latency, now - round_at, 1);
            arrived = 0;
            round_at = now;
            link_send(&links[0], poller, block, block_one);
        }
    }
}

static void connect_one(struct link *link, uint32_t number) {
    uint8_t *tail = link->tail;
    size_t room = link->tail_room;
    uint64_t *sent = link->sent;
    memset(link, 0, sizeof *link);
    link->tail = tail, link->tail_room = room, link->sent = sent, link->sent_room = 1;
    sent[0] = now_ns();
    link->open = 1;
    link_connect(link, &plan, number);
    if (plan.framing == WEBSOCKET) {
        char text[1024];
        int n = snprintf(text, sizeof text,
                         "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                         plan.path, plan.host, plan.port);
        link_write_now(link, text, (size_t)n);
    } else
        link_write_now(link, block, block_one);
    link_unblock(link);
    link_watch(link, poller, EPOLL_CTL_ADD, 0);
}

static int connect_answered(struct link *link) {
    uint8_t data[4096];
    int counts;
    ssize_t k = recv(link->fd, data, sizeof data, 0);
    if (k < 0 && errno == EAGAIN) return 0;
    if (k <= 0) die("the server closed a new connection: %s", k ? strerror(errno) : "end");
    link_keep(&link->tail, &link->tail_size, &link->tail_room, data, (size_t)k);
    if (plan.framing == WEBSOCKET) return memmem(link->tail, link->tail_size, "\r\n\r\n", 4) != NULL;
    return frame_size(plan.framing, link->tail, link->tail_size, &counts) != 0;
}

static void run_connect(void) {
    struct epoll_event events[1024];
    uint32_t number = 0;
    link_count = in_flight;
    links = calloc(link_count, sizeof *links);
    clock_start();
    for (; number < link_count; number++) {
        ring(&links[number], 1);
        connect_one(&links[number], number);
    }
    for (uint64_t now = now_ns(); clock_turn(now);) {
        int n = epoll_wait(poller, events, 1024, 1000);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            if (!connect_answered(link)) continue;
            now = now_ns();
            answered(link, 1, now, &latency);
            if (measuring) answers++;
            close(link->fd);
            connect_one(link, number++);
        }
    }
}

static void run_idle(void) {
    char ignored[256];
    open_links(connections);
    printf("{\"open\": %u}\n", connections);
    fflush(stdout);
    while (read(0, ignored, sizeof ignored) > 0) continue;
    exit(0);
}

static void report(const char *mode) {
    uint64_t least = UINT64_MAX, most = 0;
    double spent = (double)(end_at - begin_at) / 1e9;
    uint32_t counted = link_count < connections ? link_count : connections;
    for (uint32_t i = 0; i < counted; i++) {
        if (links[i].served < least) least = links[i].served;
        if (links[i].served > most) most = links[i].served;
    }
    printf("{\"client\": \"c\", \"mode\": \"%s\", \"connections\": %u, \"in_flight\": %u, \"seconds\": %.4f, "
           "\"answers\": %llu, \"flood_answers\": %llu, \"least\": %llu, \"most\": %llu, \"odd\": %llu, "
           "\"first\": \"%s\", \"latency_us\": ",
           mode, connections, in_flight, spent, (unsigned long long)answers, (unsigned long long)flood_answers,
           (unsigned long long)least, (unsigned long long)most, (unsigned long long)odd, first);
    histogram_print(&latency);
    printf(", \"cpu\": [");
    for (int i = 0; i < watched_count; i++) printf("%s%.6f", i ? ", " : "", cpu_after[i] - cpu_before[i]);
    printf("]}\n");
}

static struct bytes from_hex(const char *text) {
    struct bytes bytes = {.size = strlen(text) / 2};
    bytes.data = malloc(bytes.size + 1);
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) die("no hex: %s", text);
        bytes.data[i] = (uint8_t)value;
    }
    return bytes;
}

static void read_paths(const char *name) {
    char line[1024];
    FILE *file = fopen(name, "r");
    if (!file) die("%s: %s", name, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        plan.paths = realloc(plan.paths, (size_t)(plan.path_count + 1) * sizeof *plan.paths);
        plan.paths[plan.path_count++] = strdup(line);
    }
    fclose(file);
}

static void read_watch(const char *value) {
    for (char *end; *value && watched_count < WATCHED; value = *end ? end + 1 : end)
        watched[watched_count++] = (int)strtol(value, &end, 10);
}

static void read_option(const char *key, const char *value) {
#define IS(name) (!strcmp(key, name))
    if IS("host") plan.host = value;
    else if IS("port") plan.port = atoi(value);
    else if IS("path") plan.path = value;
    else if IS("paths") read_paths(value);
    else if IS("sources") plan.sources = atoi(value);
    else if IS("framing")
        plan.framing = !strcmp(value, "websocket") ? WEBSOCKET : !strcmp(value, "pinus") ? PINUS : DATAPACK;
    else if IS("text") plan.text = atoi(value);
    else if IS("greetings") plan.greetings = atoi(value);
    else if IS("id_at") plan.id_at = atol(value);
    else if IS("hello") plan.hello = from_hex(value);
    else if IS("ready") plan.ready = from_hex(value);
    else if IS("request") plan.request = from_hex(value);
    else if IS("join") join = from_hex(value);
    else if IS("connections") connections = (uint32_t)atol(value);
    else if IS("in_flight") in_flight = (uint32_t)atol(value);
    else if IS("flood") flood = (uint32_t)atol(value);
    else if IS("expect") expect = (uint32_t)atol(value);
    else if IS("seconds") seconds = atof(value);
    else if IS("warmup") warmup = atof(value);
    else if IS("watch") read_watch(value);
    else die("no such option: %s", key);
#undef IS
}

int main(int argc, char **argv) {
    if (argc < 2) die("load echo|receive|connect|idle key=value ...");
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) die("no value: %s", argv[i]);
        *value = 0;
        read_option(argv[i], value + 1);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    chunk = malloc(CHUNK);
    make_block();
    if (!strcmp(argv[1], "echo")) run_echo();
    else if (!strcmp(argv[1], "receive")) run_receive();
    else if (!strcmp(argv[1], "connect")) run_connect();
    else if (!strcmp(argv[1], "idle")) run_idle();
    else die("no such mode: %s", argv[1]);
    report(argv[1]);
    return 0;
}
