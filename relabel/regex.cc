/* SPDX-License-Identifier: Apache-2.0 */
/* regex: the one place where RE2 is spoken to.

   Go's regexp and RE2 share syntax and answers; what differs is smoothed here: \C and group names beyond ASCII are
   refused, and a subject with broken UTF-8 is shown to the engine with each bad byte as U+FFFD, the way Go sees it,
   with offsets mapped back. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

extern "C" {
#include "base/err.h"
#include "base/str.h"
}

#include "regex.h"

#include "fastmatch.h"

#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

namespace {

constexpr int64_t kMaxMem = 256 << 20;

RE2::Options Options()
{
    RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(kMaxMem);
    return o;
}

const char *GoReason(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "invalid regular expression";
    }
}

bool Refuse(struct err *err, const char *reason, const std::string &part, const std::string &pattern)
{
    size_t at = part.empty() ? std::string::npos : pattern.find(part);
    if (at == std::string::npos)
        return err_set(err, "error parsing regexp: %s: `%.200s`", reason, part.c_str());
    return err_set(err, "error parsing regexp: %s: `%.200s` at character %zu", reason, part.c_str(), at + 1);
}

/* What RE2 takes and Go does not. */
bool CheckGoOnly(const std::string &p, struct err *err)
{
    bool quoted = false;
    for (size_t i = 0; i + 1 < p.size(); i++) {
        if (p[i] == '\\') {
            char c = p[++i];
            if (quoted && c == 'E')
                quoted = false;
            else if (!quoted && c == 'Q')
                quoted = true;
            else if (!quoted && c == 'C')
                return Refuse(err, "invalid escape sequence", "\\C", p);
        } else if (!quoted && p.compare(i, 4, "(?P<") == 0) {
            size_t end = p.find('>', i);
            std::string name = p.substr(i, end == std::string::npos ? end : end + 1 - i);
            for (unsigned char c : name) {
                if (c >= 0x80)
                    return Refuse(err, "invalid named capture", name, p);
            }
        }
    }
    return true;
}

/* A subject as the engine may see it, and the way back. */
class Subject {
public:
    explicit Subject(struct str s) : raw_(s), clean_(str_is_utf8(s))
    {
        if (clean_)
            return;
        for (struct str rest = s; rest.n;) {
            size_t step = str_utf8_step(rest);
            size_t at = s.n - rest.n;
            if (step == 0) {
                for (int k = 0; k < 3; k++)
                    back_.push_back(at);
                text_ += "\xef\xbf\xbd";
                step = 1;
            } else {
                for (size_t k = 0; k < step; k++)
                    back_.push_back(at + k);
                text_.append(rest.p, step);
            }
            rest = str_skip(rest, step);
        }
        back_.push_back(s.n);
    }

    re2::StringPiece View() const
    {
        return clean_ ? re2::StringPiece(raw_.p ? raw_.p : "", raw_.n) : re2::StringPiece(text_);
    }

    struct str Back(const re2::StringPiece &piece) const
    {
        if (piece.data() == nullptr)
            return str_make(nullptr, 0);
        if (clean_)
            return str_make(piece.data(), piece.size());
        size_t from = static_cast<size_t>(piece.data() - text_.data());
        size_t to = from + piece.size();
        return str_make(raw_.p + back_[from], back_[to] - back_[from]);
    }

private:
    struct str raw_;
    bool clean_;
    std::string text_;
    std::vector<size_t> back_;
};

} // namespace

struct regex {
    std::unique_ptr<RE2> engine;
    struct fastmatch *fast = nullptr;
    size_t groups = 0;
    bool anchored = false;
};

static bool Match(const struct regex *re, const Subject &subject, size_t from, size_t groups, struct regex_match *m,
                  size_t *end)
{
    re2::StringPiece pieces[REGEX_GROUPS_MAX];
    re2::StringPiece view = subject.View();
    size_t want = groups < re->groups + 1 ? groups : re->groups + 1;
    RE2::Anchor anchor = re->anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED;
    if (!re->engine->Match(view, from, view.size(), anchor, pieces, static_cast<int>(want)))
        return false;
    if (end)
        *end = static_cast<size_t>(pieces[0].data() + pieces[0].size() - view.data());
    if (!m)
        return true;
    m->n = re->groups + 1;
    for (size_t i = 0; i < m->n; i++)
        m->group[i] = i < want ? subject.Back(pieces[i]) : str_make(nullptr, 0);
    return true;
}

extern "C" {

struct regex *regex_new(struct str pattern, bool anchored, struct err *err)
{
    std::string text(pattern.p ? pattern.p : "", pattern.n);
    RE2 alone(text, Options());
    if (!alone.ok()) {
        Refuse(err, GoReason(alone.error_code()), alone.error_arg(), text);
        return nullptr;
    }
    if (!CheckGoOnly(text, err))
        return nullptr;
    if (alone.NumberOfCapturingGroups() >= REGEX_GROUPS_MAX) {
        err_set(err, "error parsing regexp: more than %d groups", REGEX_GROUPS_MAX - 1);
        return nullptr;
    }
    auto re = std::make_unique<struct regex>();
    re->engine = std::make_unique<RE2>(anchored ? "^(?s:" + text + ")$" : "(?s:" + text + ")", Options());
    if (!re->engine->ok()) {
        Refuse(err, GoReason(re->engine->error_code()), text, text);
        return nullptr;
    }
    re->groups = static_cast<size_t>(re->engine->NumberOfCapturingGroups());
    re->anchored = anchored;
    re->fast = anchored ? fastmatch_new(pattern) : nullptr;
    return re.release();
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    fastmatch_free(re->fast);
    delete re;
}

bool regex_matches_engine(const struct regex *re, struct str subject)
{
    return Match(re, Subject(subject), 0, 0, nullptr, nullptr);
}

bool regex_is_fast(const struct regex *re)
{
    return re->fast != nullptr;
}

bool regex_matches(const struct regex *re, struct str subject)
{
    return re->fast ? fastmatch_matches(re->fast, subject) : regex_matches_engine(re, subject);
}

bool regex_match_groups(const struct regex *re, struct str subject, size_t groups, struct regex_match *m)
{
    if (re->fast && (groups <= 1 || !fastmatch_matches(re->fast, subject))) {
        m->n = 1;
        m->group[0] = subject;
        return fastmatch_matches(re->fast, subject);
    }
    return Match(re, Subject(subject), 0, groups, m, nullptr);
}

void regex_each(const struct regex *re, struct str raw, size_t groups, regex_each_fn *fn, void *ctx)
{
    Subject subject(raw);
    re2::StringPiece view = subject.View();
    struct regex_match m;
    size_t from = 0, last_end = static_cast<size_t>(-1), end;
    while (from <= view.size() && Match(re, subject, from, groups ? groups : 1, &m, &end)) {
        bool empty = m.group[0].n == 0;
        if (!empty || end != last_end)
            fn(ctx, &m);
        last_end = end;
        if (empty) {
            size_t step = end < view.size() ? str_utf8_step(str_make(view.data() + end, view.size() - end)) : 1;
            end += step ? step : 1;
        }
        from = end;
    }
}

int regex_group_named(const struct regex *re, struct str name)
{
    const auto &names = re->engine->NamedCapturingGroups();
    auto hit = names.find(std::string(name.p ? name.p : "", name.n));
    return hit == names.end() ? -1 : hit->second;
}

size_t regex_groups(const struct regex *re)
{
    return re->groups;
}
}
