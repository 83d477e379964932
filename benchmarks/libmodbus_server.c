/* The C library's own server, as small as it can be: 100 registers, any number of masters. Link with -lmodbus.
 * usage: libmodbus_server PORT; prints a line when it listens.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    modbus_t *bus = modbus_new_tcp("127.0.0.1", argc > 1 ? atoi(argv[1]) : 5020);
    modbus_mapping_t *registers = modbus_mapping_new(0, 0, 100, 100);
    int listener = bus && registers ? modbus_tcp_listen(bus, 128) : -1;
    if (listener < 0) {
        perror("libmodbus");
        return 1;
    }
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[64];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    puts("listening");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener) {
                event.data.fd = modbus_tcp_accept(bus, &listener); /* sets TCP_NODELAY */
                if (event.data.fd >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
            modbus_set_socket(bus, ready[i].data.fd);
            int size = modbus_receive(bus, request);
            if (size > 0) modbus_reply(bus, request, size, registers);
            else if (size < 0) close(ready[i].data.fd);
        }
    }
}
