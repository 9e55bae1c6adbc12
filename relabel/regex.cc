/* SPDX-License-Identifier: Apache-2.0 */
/* regex: the one place where RE2 is spoken to.

   Go's regexp and RE2 share syntax and answers; what differs is smoothed here: \C and group names beyond
   ASCII are refused, and a subject with broken UTF-8 is shown to the engine with each bad byte as U+FFFD, the
   way Go sees it, with offsets mapped back. */
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

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace {

/* RE2's memory for a program and the states it derives from it. What it may take it can be made to take: on
   `.*a.{20}b` a hostile 1 MB value fills 84 MB with states and needs 1.8 s, while with 2 MB the engine gives
   up on states and needs 0.2 s. So the larger steps are only for patterns whose program does not fit the
   smaller. */
constexpr int64_t kMaxMem[] = {2 << 20, 16 << 20, 256 << 20};

/* What regex_each may look at more than once. */
constexpr size_t kLookedMax = 16 << 20;

std::unique_ptr<RE2> Compile(const std::string &text)
{
    std::unique_ptr<RE2> re;
    for (int64_t max_mem : kMaxMem) {
        RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(max_mem);
        re = std::make_unique<RE2>(text, options);
        if (re->error_code() != RE2::ErrorPatternTooLarge)
            break;
    }
    return re;
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

/* The part's place is told when there is only one it can be; the whole pattern needs none. */
bool Refuse(struct err *err, const char *reason, const std::string &part, const std::string &pattern)
{
    size_t at = part.empty() || part == pattern ? std::string::npos : pattern.find(part);
    if (at == std::string::npos || pattern.find(part, at + 1) != std::string::npos)
        return err_set(err, "error parsing regexp: %s: `%.200s`", reason, part.c_str());
    return err_set(err, "error parsing regexp: %s: `%.200s` at character %zu", reason, part.c_str(), at + 1);
}

/* Steps over a character class that starts at p[i]; the pattern has compiled. */
size_t ClassEnd(const std::string &p, size_t i)
{
    i += p.compare(i, 2, "[^") == 0 ? 2 : 1;
    for (bool first = true; i < p.size() && (first || p[i] != ']'); first = false) {
        if (p[i] == '\\')
            i += 2;
        else if (p.compare(i, 2, "[:") == 0 && p.find(":]", i + 2) != std::string::npos)
            i = p.find(":]", i + 2) + 2;
        else
            i++;
    }
    return i + 1;
}

/* Calls visit(i) for each place of a compiled pattern where an operator, an escape or a plain character
   starts, outside of classes and \Q...\E. It says false to stop. */
template <typename Visit> bool Walk(const std::string &p, Visit visit)
{
    for (size_t i = 0; i < p.size();) {
        if (p.compare(i, 2, "\\Q") == 0) {
            size_t end = p.find("\\E", i + 2);
            i = end == std::string::npos ? p.size() : end + 2;
        } else if (p[i] == '[') {
            i = ClassEnd(p, i);
        } else if (!visit(i)) {
            return false;
        } else {
            i += p[i] == '\\' ? 2 : 1;
        }
    }
    return true;
}

/* What RE2 takes and Go does not. */
bool CheckGoOnly(const std::string &p, struct err *err)
{
    return Walk(p, [&](size_t i) {
        if (p.compare(i, 2, "\\C") == 0)
            return Refuse(err, "invalid escape sequence", "\\C", p);
        if (p.compare(i, 4, "(?P<") != 0)
            return true;
        std::string name = p.substr(i, p.find('>', i) + 1 - i);
        bool ascii = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x80; });
        return ascii || Refuse(err, "invalid named capture", name, p);
    });
}

/* Whether the search for a match looks no further than about where it ends: nothing is repeated, or only the
   last item of a plain sequence is. */
bool IsLocal(const std::string &p)
{
    size_t repeats = 0, choices = 0, last = 0;
    Walk(p, [&](size_t i) {
        repeats += p[i] == '*' || p[i] == '+' || p[i] == '{';
        choices += p[i] == '|' || p[i] == '(' || p[i] == '?';
        last = i;
        return true;
    });
    bool repeats_last = last + 1 == p.size() && (p[last] == '*' || p[last] == '+');
    return repeats == 0 || (repeats == 1 && choices == 0 && repeats_last);
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

} /* namespace */

struct regex {
    std::string text;            /* the pattern as it is compiled */
    std::unique_ptr<RE2> engine; /* none when a fast path does all */
    struct fastmatch *fast = nullptr;
    struct str literal = {nullptr, 0}; /* unanchored and nothing but this, when not empty */
    size_t groups = 0;
    bool anchored = false;
    bool local = false;
};

template <size_t N>
static bool MatchUpTo(const RE2 &engine, bool anchored, const Subject &subject, size_t from, size_t want,
                      struct regex_match *m, size_t *end)
{
    re2::StringPiece pieces[N], view = subject.View();
    RE2::Anchor anchor = anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED;
    if (!engine.Match(view, from, view.size(), anchor, pieces, static_cast<int>(want)))
        return false;
    if (end)
        *end = static_cast<size_t>(pieces[0].data() + pieces[0].size() - view.data());
    if (!m)
        return true;
    m->n = want;
    for (size_t i = 0; i < want; i++)
        m->group[i] = subject.Back(pieces[i]);
    return true;
}

/* `end` is where the match ends in the subject's view; it needs groups > 0. */
static bool Match(const RE2 &engine, bool anchored, const Subject &subject, size_t from, size_t groups,
                  struct regex_match *m, size_t *end)
{
    size_t all = static_cast<size_t>(engine.NumberOfCapturingGroups()) + 1;
    size_t want = groups < all ? groups : all;
    if (want <= 4)
        return MatchUpTo<4>(engine, anchored, subject, from, want, m, end);
    return MatchUpTo<REGEX_GROUPS_MAX>(engine, anchored, subject, from, want, m, end);
}

/* A pattern that is a literal, so that searching for it is not the engine's work. */
static bool LooksLiteral(const std::string &text)
{
    return !text.empty() && text.front() != '^' && text.back() != '$';
}

static void UseFastPath(struct regex *re, struct str pattern, const std::string &text)
{
    if (!re->anchored && !LooksLiteral(text))
        return;
    re->fast = fastmatch_new(pattern);
    if (!re->fast || re->anchored)
        return;
    if (fastmatch_groups(re->fast) > 0 || !fastmatch_literal(re->fast, &re->literal)) {
        fastmatch_free(re->fast);
        re->fast = nullptr;
        re->literal = str_make(nullptr, 0);
    }
}

extern "C" {

struct regex *regex_new(struct str pattern, bool anchored, struct err *err)
{
    std::string text(pattern.p ? pattern.p : "", pattern.n);
    std::unique_ptr<RE2> alone = Compile(text);
    if (!alone->ok()) {
        Refuse(err, GoReason(alone->error_code()), alone->error_arg(), text);
        return nullptr;
    }
    if (!CheckGoOnly(text, err))
        return nullptr;
    if (alone->NumberOfCapturingGroups() >= REGEX_GROUPS_MAX) {
        err_set(err, "error parsing regexp: more than %d groups", REGEX_GROUPS_MAX - 1);
        return nullptr;
    }
    auto re = std::make_unique<struct regex>();
    re->groups = static_cast<size_t>(alone->NumberOfCapturingGroups());
    re->anchored = anchored;
    re->local = IsLocal(text);
    re->text = anchored ? "^(?s:" + text + ")$" : "(?s:" + text + ")";
    UseFastPath(re.get(), pattern, text);
    if (re->fast)
        return re.release();
    alone.reset();
    re->engine = Compile(re->text);
    if (!re->engine->ok()) {
        Refuse(err, GoReason(re->engine->error_code()), text, text);
        return nullptr;
    }
    return re.release();
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    fastmatch_free(re->fast);
    delete re;
}

bool regex_match_engine(const struct regex *re, struct str subject, size_t groups, struct regex_match *m)
{
    std::unique_ptr<RE2> own = re->engine ? nullptr : Compile(re->text);
    return Match(own ? *own : *re->engine, re->anchored, Subject(subject), 0, groups, m, nullptr);
}

bool regex_is_fast(const struct regex *re)
{
    return re->fast != nullptr;
}

bool regex_matches(const struct regex *re, struct str subject)
{
    if (re->fast)
        return fastmatch_matches(re->fast, subject);
    return Match(*re->engine, re->anchored, Subject(subject), 0, 0, nullptr, nullptr);
}

bool regex_match_groups(const struct regex *re, struct str subject, size_t groups, struct regex_match *m)
{
    if (!re->fast)
        return Match(*re->engine, re->anchored, Subject(subject), 0, groups, m, nullptr);
    m->n = groups > re->groups ? re->groups + 1 : groups;
    m->group[0] = str_make(subject.p ? subject.p : "", subject.n);
    if (m->n > 1)
        return fastmatch_capture(re->fast, subject, &m->group[1]);
    return fastmatch_matches(re->fast, subject);
}

static void EachLiteral(const struct regex *re, struct str subject, regex_each_fn *fn, void *ctx)
{
    struct regex_match m;
    m.n = 1;
    for (struct str rest = subject;;) {
        size_t at = str_find(rest, re->literal);
        if (at == rest.n)
            return;
        m.group[0] = str_make(rest.p + at, re->literal.n);
        fn(ctx, &m);
        rest = str_skip(rest, at + re->literal.n);
    }
}

bool regex_each(const struct regex *re, struct str raw, size_t groups, regex_each_fn *fn, void *ctx)
{
    if (re->fast) {
        EachLiteral(re, raw, fn, ctx);
        return true;
    }
    Subject subject(raw);
    re2::StringPiece view = subject.View();
    struct regex_match m;
    size_t from = 0, last_end = static_cast<size_t>(-1), end, looked = 0;
    while (from <= view.size()) {
        looked += re->local ? 0 : view.size() - from;
        if (looked > kLookedMax + view.size())
            return false;
        if (!Match(*re->engine, false, subject, from, groups ? groups : 1, &m, &end))
            return true;
        bool empty = m.group[0].n == 0;
        if (!empty || end != last_end)
            fn(ctx, &m);
        last_end = end;
        if (empty) {
            size_t step = str_utf8_step(str_make(view.data() + end, view.size() - end));
            end += step ? step : 1;
        }
        from = end;
    }
    return true;
}

uint64_t regex_groups_named(const struct regex *re, struct str name)
{
    uint64_t bits = 0;
    if (!re->engine) /* a pattern with names is not fast */
        return 0;
    for (const auto &group : re->engine->CapturingGroupNames()) {
        if (group.second == std::string(name.p ? name.p : "", name.n))
            bits |= uint64_t{1} << group.first;
    }
    return bits;
}

size_t regex_groups(const struct regex *re)
{
    return re->groups;
}
}
