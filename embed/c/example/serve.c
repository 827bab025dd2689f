/*
 * A DNS server over UDP around a zonecast edge:
 *
 *   cc -o serve serve.c -I../include -L../../../target/release -lzonecast_c
 *   ./serve IDENTITY CORE:PORT DATA PORT
 *   dig @127.0.0.1 -p PORT www.example.com
 *
 * It prints "ready" once it has what its core has.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "zonecast.h"

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: serve IDENTITY CORE:PORT DATA PORT\n");
        return 2;
    }
    char error[256];
    zc_edge *edge = zc_edge_open(argv[1], argv[2], argv[3], error, sizeof error);
    if (edge == NULL) {
        fprintf(stderr, "the edge cannot be opened: %s\n", error);
        return 1;
    }

    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(argv[4]));
    if (udp < 0 || bind(udp, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("UDP");
        zc_edge_close(edge);
        return 1;
    }
    while (zc_edge_wait(edge, 1000) == 0)
        fprintf(stderr, "waiting for the core\n");
    printf("ready at version %llu\n", (unsigned long long)zc_edge_version(edge));
    fflush(stdout);

    zc_reader *reader = zc_reader_new(edge, 4 << 20);
    static uint8_t query[ZC_MAX_ANSWER], answer[ZC_MAX_ANSWER];
    for (;;) {
        struct sockaddr_in client;
        socklen_t client_len = sizeof client;
        ssize_t len = recvfrom(udp, query, sizeof query, 0, (struct sockaddr *)&client, &client_len);
        if (len < 0)
            break;
        int32_t answer_len = zc_answer(reader, query, (size_t)len, 0, answer, sizeof answer);
        if (answer_len > 0)
            sendto(udp, answer, (size_t)answer_len, 0, (struct sockaddr *)&client, client_len);
    }
    zc_reader_free(reader);
    zc_edge_close(edge);
    return 0;
}
