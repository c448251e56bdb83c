#include "../fuzz/fuzz_targets.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace trunkline::test;
using namespace std::string_view_literals;

/// What mutations start from: each target's own language.
std::vector<std::string_view> corpus_of(std::string_view target) {
    if (target == "connect_failure") {
        return {"connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  28P01: password authentication "
                "failed for user \"ann\"\nLOCATION:  auth_failed, auth.c:326\n",
                "connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL:  57P03: the database system is "
                "starting up\nconnection to server at \"::1\", port 5432 failed: Connection refused\n"};
    }
    if (target == "statement_class") {
        return {"SELECT pg_advisory_lock(1)",
                "/* a /* b */ c */ COPY t FROM stdin",
                "WITH x AS (SELECT $1::int) SELECT 'it''s'",
                "SET LOCAL a.b = E'\\'' -- end",
                "DO $tag$ BEGIN END $tag$; LISTEN \"a\"\"b\"",
                "select U&\"d\\0061t\" from t"};
    }
    if (target == "conninfo") {
        return {"postgresql://ann:s3cret@db.example:6543/shop?sslmode=verify-full&application_name=x",
                "host=db.example port=6543 user='a n n' password='it\\'s' dbname=shop",
                "postgres://h1:1,h2,[::1]:3/?target_session_attrs=any", "postgresql:///x?host=/tmp&port=1%32",
                "hostaddr=1.2.3.4,5.6.7.8 host=a,b port=1,2 options='-c a=b'"};
    }
    if (target.starts_with("decode")) {
        return {"\0\0\0\x10\x01"sv,
                "\0\0\0\x17\0\0\0\x07"sv,
                "\0\0\0\x14\xff\xff\xff\xff\xff\xff\xff\xff"sv,
                "\0\0\0\x19text"sv,
                "\0\0\x0e\xda\x01{}"sv,
                "\0\0\x02\xbd\0\0\0\0\0\0\0\0"sv,
                "\0\0\x04\xa0\x7f\xff\xff\xff\xff\xff\xff\xff"sv,
                "\0\0\x06\xa4\0\2\0\1\x40\0\0\2\0\1\x27\x0f"sv,
                "\0\0\x04\xa2\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3"sv,
                "\0\0\x04\x3a\0\0\0\1"sv,
                "\0\0\x03\xef\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\1\xff\xff\xff\xff"sv,
                "\0\0\x03\xf1\0\0\0\2\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\2ab"sv,
                "\0\0\x40\x10user"sv};
    }
    return {"postgresql://ann:s3cret@h/dinvalid port number: \"s3cret\"\n", "password=x y z missing \"=\" after \"y\""};
}

class mutator {
public:
    explicit mutator(unsigned seed) : dice_{seed} {}

    std::string operator()(const std::vector<std::string_view>& corpus) {
        std::string text{corpus[below(corpus.size())]};
        for (auto changes = 1 + below(6); changes > 0; --changes) {
            change(text, corpus);
        }
        return text;
    }

private:
    std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>{0, end - 1}(dice_); }

    void change(std::string& text, const std::vector<std::string_view>& corpus) {
        static constexpr auto usual = "'\"\\$:;/@?&=%,[]()-*\n\0 \x01\x7f\xff"sv;
        const auto at = below(text.size() + 1);
        switch (below(6)) {
        case 0: text.insert(at, 1, usual[below(usual.size())]); break;
        case 1: text.insert(at, 1, static_cast<char>(below(256))); break;
        case 2: text.erase(at, 1 + below(4)); break;
        case 3: text.resize(at); break;
        case 4: text.insert(at, text.substr(below(text.size() + 1), below(12))); break;
        default: {
            const auto other = corpus[below(corpus.size())];
            text.replace(at, std::string::npos, other.substr(below(other.size() + 1)));
        }
        }
    }

    std::minstd_rand dice_;
};

std::string shown(std::string_view bytes) {
    std::string text;
    for (const char one : bytes) {
        char hex[5];
        std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(one));
        text += hex;
    }
    return text;
}

}  // namespace

TEST_CASE("SA-9: readers of what comes from outside withstand twenty thousand mutations each") {
    constexpr unsigned runs = 20'000;
    for (const auto& target : fuzz::targets) {
        const auto corpus = corpus_of(target.name);
        for (unsigned seed = 1; seed <= runs; ++seed) {
            const auto input = mutator{seed}(corpus);
            try {
                fuzz::run(target, input);
            } catch (const std::logic_error& wrong) {
                FAIL(target.name << ", seed " << seed << ": " << wrong.what() << ": " << shown(input));
            }
        }
    }
    SUCCEED("nothing was read in a wrong way");
}
