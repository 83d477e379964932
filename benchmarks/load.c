/* Modbus TCP load: reads of holding or input registers on many connections, one thread. Linux.
 *
 * Closed loop (rate 0): each connection asks again as soon as it was answered.
 * Paced (rate > 0): each connection asks `rate` times a second at fixed moments. A request that could not be sent at
 * its moment because the one before was still open is timed from its moment all the same: a server that stalls
 * is charged for every request it held up (no coordinated omission).
 *
 * usage: load PORT CONNECTIONS SECONDS RATE FUNCTION COUNT SERVER_PID
 * Prints one JSON object; latencies in microseconds, CPU of the server in microseconds a request.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PEERS = 512, REQUEST = 12, SUB = 64, BUCKETS = 40 * SUB };

struct peer {
    int fd, have, open;
    uint16_t tid;
    uint64_t asked; /* when the open request was due */
    uint64_t due;   /* paced: when the next one is due */
    uint8_t in[512];
};

static struct peer peers[MAX_PEERS];
static int connections, function_code, count;
static uint64_t interval, wrong, finished, histogram[BUCKETS], worst;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

/* Log-linear buckets: 64 to each power of two, so a value is known to 1.6 %. */
static int bucket(uint64_t ns) {
    if (ns < SUB) return (int)ns;
    int power = 63 - __builtin_clzll(ns) - 6;
    int at = power * SUB + (int)(ns >> power);
    return at < BUCKETS ? at : BUCKETS - 1;
}

static double bucket_us(int at) {
    if (at < SUB) return at / 1e3;
    int power = at / SUB - 1;
    return (double)((uint64_t)(at - power * SUB) << power) / 1e3;
}

static double quantile(double q) {
    uint64_t wanted = (uint64_t)(q * (double)finished), seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > wanted) return bucket_us(i);
    return worst / 1e3;
}

static void ask(struct peer *p, uint64_t due) {
    uint16_t tid = ++p->tid;
    uint8_t frame[REQUEST] = {tid >> 8, tid, 0, 0, 0, 6, 1, function_code, 0, 0, 0, count};
    p->asked = due;
    p->open = 1;
    if (send(p->fd, frame, sizeof frame, MSG_NOSIGNAL) != sizeof frame) fail("send");
}

static void answered(struct peer *p, uint64_t at) {
    const int length = 9 + 2 * count;
    if (p->have < length) return;
    const uint8_t *b = p->in;
    if (p->have != length || (b[0] << 8 | b[1]) != p->tid || b[5] != length - 6 || b[7] != function_code) wrong++;
    p->have = 0;
    p->open = 0;
    uint64_t took = at - p->asked;
    histogram[bucket(took)]++;
    if (took > worst) worst = took;
    finished++;
    if (!interval) ask(p, now());
}

static void receive(struct peer *p) {
    ssize_t n = recv(p->fd, p->in + p->have, sizeof p->in - p->have, 0);
    if (n > 0) {
        p->have += (int)n;
        answered(p, now());
    } else if (n == 0 || errno != EAGAIN) {
        fprintf(stderr, "the server closed a connection\n");
        exit(2);
    }
}

static void connect_all(int epoll, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    for (int i = 0; i < connections; i++) {
        int fd = peers[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &peers[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e)) fail("epoll_ctl");
    }
}

/* Send what is due; return the next moment at which something will be. */
static uint64_t pace(uint64_t end) {
    uint64_t next = end, at = now();
    for (int i = 0; i < connections; i++) {
        struct peer *p = &peers[i];
        if (p->open) continue; /* its due moment stays in the past until it is answered */
        if (p->due <= at) {
            ask(p, p->due);
            p->due += interval;
        } else if (p->due < next) {
            next = p->due;
        }
    }
    return next;
}

static void drive(int epoll, int timer, uint64_t end) {
    struct epoll_event ready[64];
    while (now() < end) {
        uint64_t next = interval ? pace(end) : end;
        struct itimerspec when = {.it_value = {next / 1000000000, next % 1000000000}};
        if (interval) timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        int n = epoll_wait(epoll, ready, 64, 100);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr) receive(ready[i].data.ptr);
            else {
                uint64_t expired;
                if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN) fail("timer");
            }
        }
    }
}

static uint64_t cpu_of(clockid_t clock) {
    struct timespec t;
    return clock_gettime(clock, &t) ? 0 : t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS RATE FUNCTION COUNT SERVER_PID\n");
        return 1;
    }
    connections = atoi(argv[2]);
    double seconds = atof(argv[3]), rate = atof(argv[4]);
    function_code = atoi(argv[5]);
    count = atoi(argv[6]);
    if (connections < 1 || connections > MAX_PEERS || count < 1 || count > 125) return 1;
    interval = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    clockid_t server;
    if (clock_getcpuclockid(atoi(argv[7]), &server)) fail("server's clock");
    prctl(PR_SET_TIMERSLACK, 1);
    /* The PLC is another computer: waiting for this one's processor is no part of it, where that is permitted. */
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll < 0 || timer < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e)) fail("epoll");
    connect_all(epoll, atoi(argv[1]));
    uint64_t start = now();
    for (int i = 0; i < connections; i++) {
        if (interval) peers[i].due = start + interval * i / connections;
        else ask(&peers[i], now());
    }
    drive(epoll, timer, start + (uint64_t)(seconds * 0.2e9)); /* warm-up: a fifth more, not counted */
    memset(histogram, 0, sizeof histogram);
    finished = wrong = worst = 0;
    uint64_t cpu = cpu_of(server), begin = now();
    drive(epoll, timer, begin + (uint64_t)(seconds * 1e9));
    double took = (now() - begin) / 1e9;
    cpu = cpu_of(server) - cpu;
    double each = finished ? cpu / 1e3 / finished : 0;
    printf("{\"requests_per_s\": %.0f, \"cpu_us_per_request\": %.2f, \"wrong\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"p99_9_us\": %.1f, \"max_us\": %.1f}\n",
           finished / took, each, wrong, quantile(.5), quantile(.99), quantile(.999), worst / 1e3);
    return wrong ? 3 : 0;
}
