/* SPDX-License-Identifier: Apache-2.0 */
/* test_dns_sd: DNS messages as label sets. */
#include "sd_sets.h"

#include "scrape/discovery/dns_answer.h"

#define HEAD "\x12\x34\x81\x80\0\1\0" /* then the number of answers, and \0\0\0\0 */
#define QUESTION "\1q\0\0\x21\0\1"    /* "q", SRV, IN; at 12 */
#define REST "\0\0\0\0"
#define TTL "\0\0\0\x1e"
#define META "__meta_dns_name=_x._tcp.q"

struct message {
    struct str bytes;
    const char *want;
};

static const struct message messages[] = {
    {STR(HEAD "\0" REST QUESTION), ""},
    /* 1 2 80 host.q, whose end is a pointer to the question */
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x21\0\1" TTL "\0\x0d\0\1\0\2\0\x50\4host\xc0\x0c"),
     "{__address__=host.q:80," META ",__meta_dns_srv_record_port=80,__meta_dns_srv_record_target=host.q.}\n"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x21\0\1" TTL "\0\7\0\1\0\2\xff\xff\0"),
     "{__address__=:65535," META ",__meta_dns_srv_record_port=65535,__meta_dns_srv_record_target=.}\n"},
    {STR(HEAD "\2" REST QUESTION "\xc0\x0c\0\1\0\1" TTL "\0\4\x0a\0\0\1" "\xc0\x0c\0\1\0\1" TTL "\0\4\x0a\0\0\2"),
     "{__address__=10.0.0.1:9100," META "}\n{__address__=10.0.0.2:9100," META "}\n"},
    /* A name that leads to another, and its address. */
    {STR(HEAD "\2" REST QUESTION "\xc0\x0c\0\5\0\1" TTL "\0\3\1r\0" "\1r\0\0\1\0\1" TTL "\0\4\x7f\0\0\1"),
     "{__address__=127.0.0.1:9100," META "}\n"},
    {STR(HEAD "\2" REST QUESTION "\xc0\x0c\0\x1c\0\1" TTL "\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
         "\xc0\x0c\0\x1c\0\1" TTL "\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"),
     "{__address__=[2001:db8::1]:9100," META "}\n{__address__=1.2.3.4:9100," META "}\n"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x0f\0\1" TTL "\0\x0b\0\x0a\6mail.x\xc0\x0c"),
     "{__address__=mail\\.x.q:9100,__meta_dns_mx_record_target=mail\\.x.q.," META "}\n"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\2\0\1" TTL "\0\5\2ns\xc0\x0c"),
     "{__address__=ns.q:9100," META ",__meta_dns_ns_record_target=ns.q.}\n"},
    /* A TXT record is of no use. */
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x10\0\1" TTL "\0\2\1x"), ""},
    {STR(""), "!not a DNS message"},
    {STR("\x12\x34\x81\x80\0\1\0"), "!not a DNS message"},
    {STR(HEAD "\1" REST QUESTION), "!not a DNS message"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\1\0\1" TTL "\0\4\x0a\0\0"), "!not a DNS message"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\1\0\1" TTL "\0\3\x0a\0\0"), "!record 1 of the answer is broken"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x1c\0\1" TTL "\0\4\x0a\0\0\1"), "!record 1 of the answer is broken"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\x21\0\1" TTL "\0\6\0\1\0\2\0\x50"), "!record 1 of the answer is broken"},
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\2\0\1" TTL "\0\0"), "!record 1 of the answer is broken"},
    /* A name that points at itself. */
    {STR(HEAD "\1" REST QUESTION "\xc0\x0c\0\2\0\1" TTL "\0\2\xc0\x1f"), "!record 1 of the answer is broken"},
};

static void messages_give_sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(messages); i++) {
        struct discovery_sets sets;
        struct err err = {0};
        struct buf said;
        const char *want = messages[i].want;
        buf_init(&said, 1 << 16);
        discovery_sets_init(&sets, NULL);
        bool good = dns_answer_read(messages[i].bytes, "_x._tcp.q", 9100, &sets, &err);
        print_sets(&sets, &said);
        if (*want == '!' ? good || !strstr(err.msg, want + 1) : !good || strcmp(buf_c(&said), want) != 0)
            fail_msg("message %zu gave %s%s\n  want %s", i, err.msg, buf_c(&said), want);
        discovery_sets_free(&sets);
        buf_free(&said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_give_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
