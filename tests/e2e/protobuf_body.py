# SPDX-License-Identifier: Apache-2.0
"""protobuf_body: bodies of delimited io.prometheus.client.MetricFamily, written by hand.

    body(family("requests_total", COUNTER, counter(5, {"code": "200"})), ...)

Only what tests need of the format; fields that are None are left out.
"""
import struct

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)
CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def varint(v):
    out = bytearray()
    v &= (1 << 64) - 1
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def zigzag(v):
    return (v << 1) ^ (v >> 63)


def uint(field, v):
    return b"" if v is None else varint(field << 3) + varint(v)


def sint(field, v):
    return b"" if v is None else varint(field << 3) + varint(zigzag(v))


def double(field, v):
    return b"" if v is None else varint(field << 3 | 1) + struct.pack("<d", v)


def data(field, v):
    if v is None:
        return b""
    v = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(v)) + v


def timestamp(field, ms):
    return b"" if ms is None else data(field, uint(1, ms // 1000) + uint(2, ms % 1000 * 1000000))


def labels(pairs):
    return b"".join(data(1, data(1, name) + data(2, value)) for name, value in (pairs or {}).items())


def exemplar(pairs, value, ms=None):
    return labels(pairs) + double(2, value) + timestamp(3, ms)


def metric(field, what, pairs, ms):
    return labels(pairs) + data(field, what) + uint(6, ms)


def counter(value, pairs=None, ms=None, exemplar=None, created=None):
    return metric(3, double(1, value) + data(2, exemplar) + timestamp(3, created), pairs, ms)


def gauge(value, pairs=None, ms=None):
    return metric(2, double(1, value), pairs, ms)


def untyped(value, pairs=None, ms=None):
    return metric(5, double(1, value), pairs, ms)


def summary(count, total, quantiles, pairs=None, ms=None, created=None):
    what = uint(1, count) + double(2, total)
    what += b"".join(data(3, double(1, q) + double(2, v)) for q, v in quantiles)
    return metric(4, what + timestamp(4, created), pairs, ms)


def bucket(le, count, exemplar=None):
    if isinstance(count, float):
        return double(2, le) + data(3, exemplar) + double(4, count)
    return uint(1, count) + double(2, le) + data(3, exemplar)


def side(spans, counts, is_float, span_field):
    """spans: (offset, length); counts: absolute."""
    out = b"".join(data(span_field, sint(1, offset) + uint(2, length)) for offset, length in spans)
    if is_float:
        return out + b"".join(double(span_field + 2, c) for c in counts)
    return out + b"".join(sint(span_field + 1, c - before) for before, c in zip([0, *counts], counts))


def histogram(count, total, buckets=(), schema=None, zero_threshold=None, zero_count=None, negative=((), ()),
              positive=((), ()), exemplars=(), created=None, pairs=None, ms=None):
    """buckets: what bucket() returns; negative, positive: (spans, counts). A count that is a float makes it one."""
    is_float = isinstance(count, float)
    what = (b"" if is_float else uint(1, count)) + double(2, total)
    what += b"".join(data(3, b) for b in buckets)
    what += double(4, count) if is_float else b""
    what += sint(5, schema) + double(6, zero_threshold)
    what += double(8, zero_count) if is_float else uint(7, zero_count)
    what += side(*negative, is_float, 9) + side(*positive, is_float, 12) + timestamp(15, created)
    return metric(7, what + b"".join(data(16, e) for e in exemplars), pairs, ms)


def family(name, kind, *metrics, help=None, unit=None):
    return (data(1, name) + data(2, help) + uint(3, kind) + b"".join(data(4, m) for m in metrics) + data(5, unit))


def body(*families):
    return b"".join(varint(len(f)) + f for f in families)
