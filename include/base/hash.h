/* SPDX-License-Identifier: Apache-2.0 */
/* hash: the hash functions and checksums of the house. */
#ifndef OBSAGENT_BASE_HASH_H
#define OBSAGENT_BASE_HASH_H

#include "base/str.h"

#include <stdint.h>

/* XXH3, 64 bits. Stable over versions and machines, so it may decide phases and shards. */
uint64_t hash_bytes(const void *p, size_t n);
/* Continues a hash with one more string; the length goes in too, so {"a","bc"} differs from {"ab","c"}. */
uint64_t hash_more(uint64_t h, struct str s);
/* CRC-32C (Castagnoli); pass 0 first, the last result to continue. Uses the CPU's instruction where it has one. */
uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n);
/* MD5 of p (RFC 1321); only for Prometheus's hashmod, never for security. */
void hash_md5(const void *p, size_t n, uint8_t out[16]);

#endif
