/* What the computer itself does to a waiting task: how late a sleep of PERIOD_US ends. Linux.
 *
 * usage: noise PERIOD_US SECONDS FIFO
 * FIFO 1 asks for SCHED_FIFO; exit status 4 where that is not permitted. Prints a line for each sleep: nanoseconds late.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc != 4) return 1;
    int64_t period = atol(argv[1]) * 1000, count = (int64_t)(atof(argv[2]) * 1e9) / period;
    struct sched_param priority = {.sched_priority = 50};
    if (atoi(argv[3]) && sched_setscheduler(0, SCHED_FIFO, &priority)) return 4;
    prctl(PR_SET_TIMERSLACK, 1);
    int64_t *late = malloc(count * sizeof *late);
    if (!late) return 2;
    memset(late, 1, count * sizeof *late); /* no page is missing later */
    struct timespec due, at;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int64_t i = 0; i < count; i++) {
        due.tv_nsec += period % 1000000000;
        due.tv_sec += period / 1000000000 + due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        clock_gettime(CLOCK_MONOTONIC, &at);
        late[i] = (at.tv_sec - due.tv_sec) * INT64_C(1000000000) + at.tv_nsec - due.tv_nsec;
    }
    for (int64_t i = 0; i < count; i++) printf("%ld\n", (long)late[i]);
    return 0;
}
