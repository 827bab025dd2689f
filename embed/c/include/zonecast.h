/*
 * A zonecast edge inside a DNS server written in C: it follows a core over QUIC into a copy of its own, and answers
 * from that copy whatever happens to the core or the network. It opens no sockets for DNS.
 *
 *   zc_edge *edge = zc_edge_open("identity", "192.0.2.1:8054", "data", error, sizeof error);
 *   zc_edge_wait(edge, 10000);
 *   zc_reader *reader = zc_reader_new(edge, 4 << 20);          one for each thread
 *   n = zc_answer(reader, query, query_len, 0, out, sizeof out);
 *
 * Link with -lzonecast_c. The library starts threads of its own; it must be opened after a fork, not before.
 */
#ifndef ZONECAST_H
#define ZONECAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An edge. Safe to share between threads. */
typedef struct zc_edge zc_edge;

/* What answers on one thread. Not to be used by two threads at a time. */
typedef struct zc_reader zc_reader;

/* The longest answer: a buffer of this size is always enough. */
#define ZC_MAX_ANSWER 65535

/* Results below zero. */
#define ZC_ERROR_ARGUMENT (-1) /* a pointer is NULL */
#define ZC_ERROR_BUFFER (-2)   /* the answer is longer than the buffer */
#define ZC_ERROR_FAILED (-3)   /* the edge cannot apply anything any more; what it has still answers */
#define ZC_ERROR_INTERNAL (-4) /* a bug */

/*
 * Opens an edge. `identity` is a folder that `zonecast ca issue --role edge` made, `upstreams` the cores and relays as
 * "address:port,host:port", at least one of them an address, `data` the folder of its copy, which is made if it is
 * missing. Returns NULL when it cannot be opened, and why, as a string, in `error`, unless that is NULL.
 */
zc_edge *zc_edge_open(const char *identity, const char *upstreams, const char *data, char *error, size_t error_len);

/*
 * Waits until the edge has what its core has: 1 if it has, 0 if the time was not enough, or a result below zero. An
 * edge that has a copy may answer at once.
 */
int zc_edge_wait(zc_edge *edge, uint32_t milliseconds);

/* The version that readers see, 0 while the edge is new. */
uint64_t zc_edge_version(const zc_edge *edge);

/* Says goodbye to the core and frees the edge; readers go on answering from what it had. NULL does nothing. */
void zc_edge_close(zc_edge *edge);

/* A reader that keeps up to `cache_bytes` of what it has read; 0 for none. Returns NULL when `edge` is. */
zc_reader *zc_reader_new(const zc_edge *edge, size_t cache_bytes);

/* NULL does nothing. */
void zc_reader_free(zc_reader *reader);

/*
 * Holds the present state until zc_reader_end, for a burst of queries: less work for each, and all of them see one
 * version. Do not hold it while waiting for queries.
 */
void zc_reader_begin(zc_reader *reader);
void zc_reader_end(zc_reader *reader);

/*
 * Answers a query, wire to wire. `over_tcp` is 0 for UDP, where an answer is at most what the query allows, at most
 * 1,232 bytes, and at least 512. Returns the length of the answer in `out`, 0 when the query gets none, or a result
 * below zero. Never waits for the network or a lock.
 */
int32_t zc_answer(zc_reader *reader, const uint8_t *query, size_t query_len, int over_tcp, uint8_t *out, size_t out_len);

#ifdef __cplusplus
}
#endif

#endif
