#include "csv_posts.hpp"
#include "stress_refusal.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "synthetic_posts.hpp"
#include "user_error.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace trunkline::stress;
using trunkline::test::has_text;

constexpr const char* header = "created_utc,score,domain,id,title,ups,downs,num_comments,permalink,"
                               "selftext,over_18,subreddit_id,is_self,name,url\n";

/// A directory that vanishes with it.
class scratch_directory {
public:
    scratch_directory() {
        auto pattern = (std::filesystem::temp_directory_path() / "trunkline-posts-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~scratch_directory() { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream{path_ / name, std::ios::binary} << text;
    }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

std::string refusal_by_posts(const std::filesystem::path& directory) {
    return refusal_of([&] { csv_posts{directory}; });
}

/// A record with one field in place of the good one.
std::string record_with(std::size_t column, const std::string& value) {
    std::vector<std::string> fields{"1313217913.5", "147",      "example.com", "jhiyb",    "A title",
                                    "161",          "14",       "12",          "/r/cpp/1", "text",
                                    "False",        "t5_2qi27", "True",        "t3_jhiyb", "http://example.com/"};
    fields[column] = value;
    std::string line;
    for (const auto& field : fields) {
        line += (line.empty() ? "" : ",") + field;
    }
    return line + "\n";
}

}  // namespace

TEST_CASE("posts: a record becomes a post, its subreddit being the file's name") {
    const scratch_directory directory;
    directory.write("cpp.csv", std::string{header} + record_with(9, "\"one,\n\"\"two\"\"\""));
    csv_posts source{directory.path()};
    post read;
    REQUIRE(source.next(read));
    CHECK(read.id == "jhiyb");
    CHECK(read.subreddit == "cpp");
    CHECK(read.created.time_since_epoch() == std::chrono::microseconds{1'313'217'913'500'000});
    CHECK(read.score == 147);
    CHECK(read.ups == 161);
    CHECK(read.downs == 14);
    CHECK(read.num_comments == 12);
    CHECK(read.title == "A title");
    CHECK(read.selftext == "one,\n\"two\"");
    CHECK_FALSE(read.over_18);
    CHECK(read.is_self);
    CHECK(read.url == "http://example.com/");
    CHECK_FALSE(source.next(read));
    CHECK(source.malformed() == 0);
}

TEST_CASE("posts: a value that cannot be read makes the record malformed, with "
          "file, line and column named") {
    struct example {
        std::size_t column;
        std::string value;
        std::string reason;
    };
    const std::vector<example> examples{
        {0, "yesterday", "created_utc is 'yesterday'"},
        {0, "-5", "created_utc"},
        {0, "nan", "created_utc"},
        {1, "", "score is ''"},
        {1, "1.5", "score is '1.5'"},
        {1, "99999999999", "score"},
        {3, "UPPER", "id is 'UPPER'"},
        {3, "0ab", "id is '0ab'"},
        {3, "", "id is ''"},
        {3, "1234567890", "id"},
        {5, "many", "ups is 'many'"},
        {6, "1 ", "downs is '1 '"},
        {7, "0x10", "num_comments"},
        {10, "perhaps", "over_18 is 'perhaps'"},
        {12, "1", "is_self is '1'"},
        {4, "broken \xFF text", "title is not valid UTF-8"},
        {9, std::string{"nul \0 byte", 10}, "selftext is not valid UTF-8"},
    };
    for (const auto& [column, value, reason] : examples) {
        CAPTURE(column, value);
        const scratch_directory directory;
        directory.write("r.csv", header + record_with(1, "1") + record_with(column, value) + record_with(1, "2"));
        std::vector<malformed_record> skipped;
        csv_posts source{directory.path(), [&](const malformed_record& each) { skipped.push_back(each); }};
        post read;
        std::vector<int> scores;
        while (source.next(read)) {
            scores.push_back(read.score);
        }
        CHECK(scores == std::vector<int>{1, 2});
        CHECK(source.malformed() == 1);
        REQUIRE(skipped.size() == 1);
        CHECK_THAT(skipped.front().file, Catch::Matchers::EndsWith("r.csv"));
        CHECK(skipped.front().line == 3);
        CHECK_THAT(skipped.front().reason, has_text(reason));
    }
}

TEST_CASE("posts: files come in the order of their names, columns in any order") {
    const scratch_directory directory;
    directory.write("b.csv", header + record_with(1, "2"));
    directory.write("a.csv", "url,name,is_self,subreddit_id,over_18,selftext,"
                             "permalink,num_comments,downs,ups,title,id,domain,"
                             "score,created_utc,more\nu,n,True,s,False,x,p,1,2,3,"
                             "t,abc,d,1,5.0,ignored\n");
    directory.write("notes.txt", "not a CSV file");
    csv_posts source{directory.path()};
    CHECK(source.files() == 2);
    post read;
    REQUIRE(source.next(read));
    CHECK(read.subreddit == "a");
    CHECK(read.score == 1);
    CHECK(read.title == "t");
    REQUIRE(source.next(read));
    CHECK(read.subreddit == "b");
}

TEST_CASE("posts: a directory that cannot be used is refused in one sentence "
          "before anything is read") {
    const scratch_directory directory;
    CHECK_THAT(refusal_by_posts(directory.path() / "absent"), has_text("is not a directory"));
    CHECK_THAT(refusal_by_posts(directory.path()), has_text("holds no .csv file"));
    directory.write("good.csv", std::string{header});
    directory.write("late.csv", "id,title\n1,x\n");
    CHECK_THAT(refusal_by_posts(directory.path()), has_text("late.csv: the header has no column created_utc, score, "
                                                            "domain, ups"));
    directory.write("late.csv", "");
    CHECK_THAT(refusal_by_posts(directory.path()), has_text("late.csv is empty"));
    directory.write("late.csv", "\"id\n");
    CHECK_THAT(refusal_by_posts(directory.path()), has_text("the header is malformed"));
    directory.write("late.csv", header);
    CHECK(refusal_by_posts(directory.path()) == "none");
    CHECK_THAT(refusal_by_posts(directory.path() / "good.csv"), has_text("is not a directory"));
}

TEST_CASE("posts: ids and numbers are the same thing") {
    for (const std::uint64_t number : {0ULL, 1ULL, 35ULL, 36ULL, 1'679'616ULL, 101'559'956'668'415ULL}) {
        CHECK(post_number(post_id(number)) == number);
    }
    CHECK(post_id(first_inserted_post) == "1000000000");
    CHECK_FALSE(post_number(post_id(first_inserted_post)).has_value());
    CHECK(inserted_post_number(post_id(first_inserted_post + 7)) == std::uint64_t{7});
    CHECK_FALSE(inserted_post_number("zzzzzzzzz").has_value());
    for (const auto* wrong : {"", "A", "a-b", " a", "00", "a b"}) {
        CHECK_FALSE(post_number(wrong).has_value());
    }
}

TEST_CASE("posts: text that PostgreSQL would refuse is known as such") {
    for (const auto* good :
         {"", "plain", "\xC3\xBC", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"}) {
        CHECK(is_valid_text(good));
    }
    for (const auto* bad : {"\xFF", "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                            "\xF0\x9F\x98", "\xE2\x28\xA1"}) {
        CHECK_FALSE(is_valid_text(bad));
    }
    CHECK_FALSE(is_valid_text(std::string_view{"a\0b", 3}));
}

TEST_CASE("posts: the same seed makes the same posts, another seed makes others") {
    synthetic_posts one{7, 100};
    synthetic_posts same{7, 100};
    synthetic_posts other{8, 100};
    post a;
    post b;
    post c;
    std::size_t different = 0;
    for (int i = 0; i < 100; ++i) {
        REQUIRE(one.next(a));
        REQUIRE(same.next(b));
        REQUIRE(other.next(c));
        CHECK((a.id == b.id && a.title == b.title && a.selftext == b.selftext && a.score == b.score &&
               a.created == b.created));
        different += a.title != c.title ? 1 : 0;
    }
    CHECK(different == 100);
    CHECK_FALSE(one.next(a));
}

TEST_CASE("posts: made-up posts have the shape of real ones") {
    synthetic_posts source{1, 20'000};
    post made;
    std::set<std::string> ids;
    std::size_t without_text = 0;
    std::size_t bytes = 0;
    std::size_t longest = 0;
    std::vector<int> scores;
    std::set<std::string> subreddits;
    while (source.next(made)) {
        ids.insert(made.id);
        subreddits.insert(made.subreddit);
        without_text += made.selftext.empty() ? 1 : 0;
        bytes += made.selftext.size();
        longest = std::max(longest, made.selftext.size());
        scores.push_back(made.score);
        REQUIRE(post_number(made.id).has_value());
        REQUIRE(made.is_self != made.selftext.empty());
        REQUIRE_FALSE(made.title.empty());
    }
    std::sort(scores.begin(), scores.end());
    CHECK(ids.size() == 20'000);
    CHECK(subreddits.size() == 50);
    CHECK(without_text > 14'000);
    CHECK(without_text < 15'800);
    CHECK(bytes / 20'000 > 150);
    CHECK(bytes / 20'000 < 350);
    CHECK(longest > 5'000);
    CHECK(longest <= 40'000);
    CHECK(scores[19'980] > 50 * scores[10'000]);
}

TEST_CASE("posts: every record of the real set is read") {
    const char* directory = std::getenv("TRUNKLINE_POSTS");
    if (directory == nullptr || *directory == '\0') {
        WARN("skipped: TRUNKLINE_POSTS names no directory with the real posts");
        return;
    }
    csv_posts source{directory};
    post read;
    std::set<std::uint64_t> ids;
    while (source.next(read)) {
        ids.insert(post_number(read.id).value());
    }
    CHECK(source.malformed() == 0);
    CHECK(source.files() == 50);
    CHECK(ids.size() == 48'555);
}
