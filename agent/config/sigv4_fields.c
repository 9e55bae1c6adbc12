/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_fields: credentials of clouds: AWS's keys as in github.com/prometheus/sigv4, and what to do instead of the ways
   that are not there. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http_fields.h"

#define AT(member) .at = offsetof(struct http_sigv4, member)

static void refuse_role(struct load *l, const struct node *value, void *to)
{
    (void)to;
    problem_add(&l->problems, value->at,
                "roles are not supported yet in sigv4: let aws-cli or a helper write the role's keys, "
                "aws_session_token among them, into a profile of the shared credentials file, which is read again "
                "when it changes");
}

void refuse_azuread(struct load *l, const struct node *value, void *to)
{
    (void)to;
    problem_add(&l->problems, value->at,
                "field azuread is not supported yet: an application's client id and secret work with oauth2 (token_url "
                "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token, scopes "
                "[https://monitor.azure.com/.default])");
}

void refuse_google_iam(struct load *l, const struct node *value, void *to)
{
    (void)to;
    problem_add(&l->problems, value->at,
                "field google_iam is not supported yet: authorization works with a credentials_file into which a "
                "helper writes access tokens; it is read again when it changes");
}

static const struct field sigv4_fields[] = {
    {"region", FIELD_TEXT, AT(region), .help = "AWS's region; AWS_REGION or AWS_DEFAULT_REGION unless given"},
    {"access_key", FIELD_TEXT, AT(access_key),
     .help = "the key's id; unless given, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile's keys"},
    {"secret_key", FIELD_SECRET, AT(secret_key), .help = "the key itself"},
    {"profile", FIELD_TEXT, AT(profile),
     .help = "of AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials; read again when it changes and after a 401"},
    {"service_name", FIELD_TEXT, AT(service), .standard = "aps", .help = "whom the signature is for"},
    {"use_fips_sts_endpoint", FIELD_BOOL, FIELD_NO_EFFECT, .help = "STS is not asked"},
    {"role_arn", FIELD_TEXT, FIELD_LATER, .load = refuse_role, .help = "a role to take on"},
    {"external_id", FIELD_TEXT, FIELD_LATER, .load = refuse_role, .help = "of the role"},
    {"session_name", FIELD_TEXT, FIELD_LATER, .load = refuse_role, .help = "of the role"},
    {"tags", FIELD_OWN, FIELD_LATER, .load = refuse_role, .help = "of the role"},
};

static void check_sigv4(struct load *l, const struct node *node, void *to)
{
    struct http_sigv4 *a = to;
    static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    for (size_t i = 0; i < 2 && !a->region; i++) {
        const char *region = getenv(regions[i]);
        a->region = region && *region ? xstrdup(region) : NULL;
    }
    if (!a->region) {
        problem_add(&l->problems, node->at, "region not configured in sigv4 or in AWS_REGION");
        a->region = xstrdup("");
    }
    if (field_given(node, "access_key") != field_given(node, "secret_key"))
        problem_add(&l->problems, field_place(node, field_given(node, "access_key") ? "access_key" : "secret_key"),
                    "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 "
                    "config");
}

const struct section section_sigv4 = {
    .name = "sigv4",
    .help = "AWS Signature Version 4 of every request",
    FIELDS(sigv4_fields),
    .check = check_sigv4,
};

void load_sigv4(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    if (node_is_null(value))
        return;
    o->sigv4 = xcalloc(1, sizeof *o->sigv4);
    o->sigv4->shared_file = http_aws_file();
    section_defaults(l, &section_sigv4, o->sigv4);
    section_load(l, &section_sigv4, value, o->sigv4);
}

void show_sigv4(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    if (o->sigv4)
        dump_section(d, f->name, &section_sigv4, o->sigv4);
}
