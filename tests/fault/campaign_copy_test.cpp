#include "../integration/transaction_fixture.hpp"
#include "campaign.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/postgres_binaries.hpp"
#include "support/process.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unistd.h>
#include <vector>

// Posts copied into a table by the pool and by psql in turn.
namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t piece = std::size_t{64} << 10;

/// The stress run's table without its computed column, and what a file of posts holds.
constexpr const char* tables = R"(DROP TABLE IF EXISTS posts, file_of_posts;
CREATE UNLOGGED TABLE posts (id text, subreddit text, created timestamptz, score int4, ups int4, downs int4,
    num_comments int4, domain text, title text, selftext text, permalink text, url text, subreddit_id text, name text,
    over_18 bool, is_self bool);
CREATE UNLOGGED TABLE file_of_posts (created_utc float8, score int4, domain text, id text, title text, ups int4,
    downs int4, num_comments int4, permalink text, selftext text, over_18 bool, subreddit_id text, is_self bool,
    name text, url text))";

/// Three quarters have no text; the others have words, quotes, commas and line feeds.
constexpr const char* make_up = R"(INSERT INTO posts
SELECT 'p' || i, 'subreddit' || i % 50, '2013-08-01'::timestamptz + i * interval '1 minute', i % 4000, i % 5000, i % 1000,
    i % 300, 'example.com', 'A "title", the ' || i || 'th, ' || repeat('of words ', i % 12),
    CASE WHEN i % 4 = 0 THEN repeat(E'Words, "words" and\nmore of them. ', i % 73) ELSE '' END,
    'http://www.example.com/r/subreddit/comments/p' || i || '/a_title_of_some_words/', 'http://example.com/' || md5(i::text),
    't5_2qlqh', 't3_p' || i, i % 9 = 0, i % 4 = 0
FROM generate_series(1, $1) AS i)";

constexpr const char* take_file = R"(INSERT INTO posts
SELECT id, $1, to_timestamp(created_utc), score, ups, downs, num_comments, coalesce(domain, ''), coalesce(title, ''),
    coalesce(selftext, ''), coalesce(permalink, ''), coalesce(url, ''), coalesce(subreddit_id, ''), coalesce(name, ''),
    over_18, is_self FROM file_of_posts)";

struct typed_post {
    std::string id, subreddit;
    std::chrono::sys_time<std::chrono::microseconds> created;
    std::int32_t score, ups, downs, num_comments;
    std::string domain, title, selftext, permalink, url, subreddit_id, name;
    bool over_18, is_self;
};

/// A file that vanishes with this.
class scratch_file {
public:
    scratch_file() {
        auto pattern = (fs::temp_directory_path() / "trunkline-posts-XXXXXX").string();
        const int made = ::mkstemp(pattern.data());
        REQUIRE(made >= 0);
        ::close(made);
        path_ = pattern;
    }
    scratch_file(const scratch_file&) = delete;
    scratch_file& operator=(const scratch_file&) = delete;
    ~scratch_file() { fs::remove(path_); }
    [[nodiscard]] const fs::path& path() const noexcept { return path_; }

private:
    fs::path path_;
};

/// The CSV files that TRUNKLINE_POSTS names: one, or a folder's.
std::vector<fs::path> given_files() {
    std::vector<fs::path> files;
    const char* const given = std::getenv("TRUNKLINE_POSTS");
    if (given == nullptr || *given == '\0') {
        return files;
    }
    if (fs::is_directory(given)) {
        for (const auto& entry : fs::directory_iterator{given}) {
            if (entry.path().extension() == ".csv") {
                files.push_back(entry.path());
            }
        }
    } else {
        files.emplace_back(given);
    }
    std::sort(files.begin(), files.end());
    REQUIRE_FALSE(files.empty());
    return files;
}

/// A file of posts as PostgreSQL takes it, which wants carriage returns inside a field to be quoted.
std::string read_csv(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    const std::string all{std::istreambuf_iterator<char>{in}, {}};
    std::string csv;
    bool quoted = false;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < all.size(); ++at) {
        quoted = quoted != (all[at] == '"');
        if (quoted || (all[at] != ',' && all[at] != '\n')) {
            continue;
        }
        auto field = all.substr(begin, at - begin);
        begin = at + 1;
        if (all[at] == '\n' && !field.empty() && field.back() == '\r') {
            field.pop_back();
        }
        const bool to_quote = field.find('\r') != std::string::npos && field.front() != '"';
        csv += to_quote ? '"' + field + '"' : field;
        csv += all[at];
    }
    return csv + all.substr(begin);
}

/// The names of the columns, which become a part of a statement.
std::string header_of(const std::string& csv) {
    auto line = csv.substr(0, csv.find('\n'));
    REQUIRE_FALSE(line.empty());
    REQUIRE(line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789,") == std::string::npos);
    return line;
}

/// Sends a file as it is, and gives the rows that are stored.
asio::awaitable<std::uint64_t> copy_file(connection& on, const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::vector<char> buffer(piece);
    auto to = co_await on.copy_in("COPY posts FROM STDIN (FORMAT csv)");
    while (in) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        co_await to.write(std::string_view{buffer.data(), static_cast<std::size_t>(in.gcount())});
    }
    const auto stored = co_await to.finish();
    co_return stored;
}

/// Fills the table.
asio::awaitable<void> make_posts(connection& on) {
    const auto files = given_files();
    if (files.empty()) {
        co_await on.query(make_up, campaign::scaled(48'000, 48'000));
    }
    for (const auto& file : files) {
        const auto csv = read_csv(file);
        auto to = co_await on.copy_in("COPY file_of_posts (" + header_of(csv) + ") FROM STDIN (FORMAT csv, HEADER)");
        co_await to.write(csv);
        (void)co_await to.finish();
        const auto subreddit = file.stem().string();
        co_await on.query(take_file, subreddit);
        co_await on.query("TRUNCATE file_of_posts");
    }
}

asio::awaitable<void> write_file(connection& on, const fs::path& file) {
    std::ofstream out{file, std::ios::binary};
    auto from = co_await on.copy_out("COPY posts TO STDOUT (FORMAT csv)");
    while (const auto line = co_await from.next()) {
        out.write(line->data(), static_cast<std::streamsize>(line->size()));
    }
    out.close();
    CHECK(out.good());
}

asio::awaitable<std::vector<typed_post>> read_posts(connection& on) {
    std::vector<typed_post> all;
    auto rows = co_await on.stream("SELECT * FROM posts");
    while (const auto r = co_await rows.next()) {
        typed_post one{};
        std::size_t at = 0;
        const auto take = [&](auto&... fields) { ((fields = r->get<std::decay_t<decltype(fields)>>(at++)), ...); };
        take(one.id, one.subreddit, one.created, one.score, one.ups, one.downs, one.num_comments, one.domain,
             one.title);
        take(one.selftext, one.permalink, one.url, one.subreddit_id, one.name, one.over_18, one.is_self);
        all.push_back(std::move(one));
    }
    co_return all;
}

asio::awaitable<std::uint64_t> copy_typed(connection& on, const std::vector<typed_post>& all) {
    auto to = co_await on.copy_in("COPY posts FROM STDIN (FORMAT binary)");
    for (const auto& p : all) {
        co_await to.write_row(p.id, p.subreddit, p.created, p.score, p.ups, p.downs, p.num_comments, p.domain, p.title,
                              p.selftext, p.permalink, p.url, p.subreddit_id, p.name, p.over_18, p.is_self);
    }
    const auto stored = co_await to.finish();
    co_return stored;
}

/// psql's own time for its `\copy`: without its start and its login.
std::chrono::nanoseconds time_of_psql(const fs::path& program, const fs::path& file) {
    const auto done = run_command({"env", "LC_ALL=C", program.string(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                                   fixture::server().socket_url(), "-c", "\\timing on", "-c",
                                   "\\copy posts FROM '" + file.string() + "' (FORMAT csv)"});
    INFO(done.output);
    REQUIRE(done.exit_code == 0);
    const std::string words = "Time: ";
    const auto at = done.output.find(words);
    REQUIRE(at != std::string::npos);
    const std::chrono::duration<double, std::milli> took{std::stod(done.output.substr(at + words.size()))};
    return std::chrono::duration_cast<std::chrono::nanoseconds>(took);
}

/// The quickest rounds of each.
struct times {
    std::chrono::nanoseconds psql = std::chrono::nanoseconds::max();
    std::chrono::nanoseconds pieces = psql;
    std::chrono::nanoseconds rows = psql;
};

std::string rate(std::uintmax_t bytes, std::size_t posts, std::chrono::nanoseconds took) {
    const auto seconds = std::chrono::duration<double>(took).count();
    std::ostringstream words;
    words << campaign::in_ms(took) << " (" << static_cast<double>(bytes) / (seconds * 1'048'576) << " MiB/s, "
          << static_cast<double>(posts) / seconds << " posts/s)";
    return words.str();
}

/// One after another, each into an empty table, the rows counted by another session; every round begins with another one.
asio::awaitable<void> compete(connection& on, const fs::path& psql, const fs::path& file,
                              const std::vector<typed_post>& all, times& best) {
    plain_connection observer{fixture::server().url()};
    const auto timed = [](auto call, std::chrono::nanoseconds& into) -> asio::awaitable<void> {
        const auto begin = steady_clock::now();
        (void)co_await call();
        into = std::min<std::chrono::nanoseconds>(into, steady_clock::now() - begin);
    };
    const auto by_pieces = [&] { return copy_file(on, file); };
    const auto by_rows = [&] { return copy_typed(on, all); };
    const int rounds = campaign::scaled(15, 2);
    for (int turn = 0; turn < 3 * rounds; ++turn) {
        observer.execute("TRUNCATE posts");
        switch ((turn + turn / 3) % 3) {
        case 0: best.psql = std::min(best.psql, time_of_psql(psql, file)); break;
        case 1: co_await timed(by_pieces, best.pieces); break;
        default: co_await timed(by_rows, best.rows);
        }
        CHECK(observer.count("SELECT count(*) FROM posts") == all.size());
    }
}

}  // namespace

TEST_CASE("COPY takes posts in at nine tenths of the speed of psql at least") {
    const auto psql = find_postgres_binaries({}) / "psql";
    if (!fs::exists(psql)) {
        WARN("SKIPPED: there is no psql beside the server's programs");
        return;
    }
    const scratch_file file;
    auto settings = settings_on(fixture::server().socket_url(), "copied", {.min = 0, .max = 1});
    plain_connection{fixture::server().url()}.execute(tables);
    times best;
    std::size_t posts = 0;
    run_on(settings, [&](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await make_posts(*held);
        co_await write_file(*held, file.path());
        const auto all = co_await read_posts(*held);
        posts = all.size();
        co_await compete(*held, psql, file.path(), all, best);
    });
    const auto bytes = fs::file_size(file.path());
    const auto part = static_cast<double>(best.psql.count()) / static_cast<double>(best.pieces.count());
    WARN(posts << " posts, " << static_cast<double>(bytes) / 1'048'576 << " MiB of CSV. psql: "
               << rate(bytes, posts, best.psql) << "; copy_writer::write: " << rate(bytes, posts, best.pieces)
               << ", that is " << part << " of psql's speed; write_row: " << rate(bytes, posts, best.rows));
    CHECK(posts > 0);
    CHECK((!campaign::full() || part >= 0.9));
}
