/* A PLC in C: triggers inspections one after the other, polls the result block, acknowledges. Linux.
 *
 * Every scan reads the 64 input registers in one request; what changed is written back in one FC16. A result is timed
 * from the send of its trigger's write to the arrival of the answer that shows it whole.
 *
 * usage: cycle PORT UNIT COUNT SECONDS POLL_US PAUSE_US DEPTH FIRST_PART
 *   COUNT results or SECONDS, whichever ends first; POLL_US between an answer and the next read (0: back to back);
 *   PAUSE_US between a result's acknowledgement and the next trigger; DEPTH 1, or 2 with `overlap`;
 *   part numbers count from FIRST_PART.
 * Prints a line for each result: TRIGGER_SEQ, microseconds, microseconds since the start, JUDGEMENT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { COMMAND = 32, OUTPUT = 64, READY = 1 << 1, RING = 16, PATIENCE = 30 };
enum { CONTROL = 0, TRIGGER_SEQ = 1, RESULT_ACK_SEQ = 2, PART_HIGH = 8, PART_LOW = 9 };
enum { STATUS = 0, SEQ_ACK = 2, REFUSED = 3, RESULT_SEQ = 16, RESULT_TRIGGER = 17, JUDGEMENT = 20, RESULT_COPY = 63 };

static int peer;
static uint8_t unit;
static uint16_t command[COMMAND], output[OUTPUT], tid;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void rest(uint64_t us) {
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    if (us) clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void fail(const char *what) {
    fprintf(stderr, "cycle: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static void exactly(uint8_t *into, size_t size) {
    while (size) {
        ssize_t n = recv(peer, into, size, 0);
        if (n <= 0) fail("no answer");
        into += n;
        size -= (size_t)n;
    }
}

/* One request and its answer's PDU; the answer must be of the length wanted. */
static const uint8_t *ask(const uint8_t *pdu, int size, int answer) {
    static uint8_t frame[300];
    tid++;
    const uint8_t head[] = {tid >> 8, tid, 0, 0, (size + 1) >> 8, size + 1, unit};
    memcpy(frame, head, 7);
    memcpy(frame + 7, pdu, size);
    if (send(peer, frame, 7 + size, MSG_NOSIGNAL) != 7 + size) fail("send");
    exactly(frame, 7 + answer);
    if ((frame[0] << 8 | frame[1]) != tid || frame[7] != pdu[0]) errno = 0, fail("an exception or another's answer");
    return frame + 7;
}

static void words(uint8_t function, int count, uint16_t *into) {
    const uint8_t pdu[] = {function, 0, 0, 0, count}, *answer = ask(pdu, sizeof pdu, 2 + 2 * count) + 2;
    for (int i = 0; i < count; i++) into[i] = answer[2 * i] << 8 | answer[2 * i + 1];
}

static void write_command(void) {
    uint8_t pdu[6 + 2 * COMMAND] = {16, 0, 0, 0, COMMAND, 2 * COMMAND};
    for (int i = 0; i < COMMAND; i++) pdu[6 + 2 * i] = command[i] >> 8, pdu[7 + 2 * i] = command[i];
    ask(pdu, sizeof pdu, 5);
}

static void connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE};
    int one = 1;
    peer = socket(AF_INET, SOCK_STREAM, 0);
    if (peer < 0 || connect(peer, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

int main(int argc, char **argv) {
    if (argc != 9) return fprintf(stderr, "usage: see the head of cycle.c\n"), 1;
    unit = atoi(argv[2]);
    long count = atol(argv[3]), poll_us = atol(argv[5]), pause_us = atol(argv[6]), depth = atol(argv[7]);
    uint32_t part = (uint32_t)strtoul(argv[8], NULL, 10);
    prctl(PR_SET_TIMERSLACK, 1);
    /* The PLC is another computer: waiting for this one's processor is no part of it, where that is permitted. */
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    connect_to(atoi(argv[1]));
    words(3, COMMAND, command); /* go on where the last one stopped */
    words(4, OUTPUT, output);
    uint64_t sent[RING] = {0}, begin = now(), end = begin + (uint64_t)(atof(argv[4]) * 1e9), paused = 0, heard = begin;
    uint16_t seen = output[RESULT_SEQ];
    long open = 0, done = 0, begun = 0;
    command[CONTROL] |= 1;
    write_command();
    while (done < count && (now() < end || open)) {
        words(4, OUTPUT, output);
        uint64_t at = now();
        int news = 0;
        if (output[RESULT_SEQ] != seen && output[RESULT_SEQ] == output[RESULT_COPY]) {
            seen = command[RESULT_ACK_SEQ] = output[RESULT_SEQ];
            uint16_t trigger = output[RESULT_TRIGGER];
            printf("%u %.1f %.1f %u\n", trigger, (at - sent[trigger % RING]) / 1e3, (at - begin) / 1e3, output[JUDGEMENT]);
            open--, done++, news = 1, heard = at, paused = at + pause_us * 1000;
        }
        if (open && output[SEQ_ACK] == command[TRIGGER_SEQ] && output[REFUSED]) errno = 0, fail("a trigger was refused");
        int write_seen = begun == 0 || output[SEQ_ACK] == command[TRIGGER_SEQ];
        /* depth 1: the acknowledgement goes alone, so that it is no part of the next cycle's time */
        if (open < depth && output[STATUS] & READY && write_seen && at >= paused && begun < count && at < end &&
            !(news && depth == 1)) {
            command[TRIGGER_SEQ] = command[TRIGGER_SEQ] % 65535 + 1;
            command[PART_HIGH] = part >> 16, command[PART_LOW] = (uint16_t)part++;
            open++, begun++, news = 1, heard = at;
            sent[command[TRIGGER_SEQ] % RING] = now();
        }
        if (news) write_command();
        if (at > heard + PATIENCE * UINT64_C(1000000000) + pause_us * 1000) errno = 0, fail("no result, not Ready");
        rest(!open && at < paused ? (paused - at) / 1000 + 1 : poll_us);
    }
    return 0;
}
