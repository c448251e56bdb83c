#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// The SQL of the run. Everything lives in a schema of its own.
namespace trunkline::stress::statements {

inline constexpr std::string_view schema = "trunkline_stress";
/// The schema's comment: what has it was made by this program, and may be dropped by it.
inline constexpr std::string_view marker = "made by trunkline-stress, which drops it without asking";

/// `document` is a stored generated column, not kept by a trigger: the server computes it only when title or selftext
/// change, and needs no procedural language. The score is deliberately in no index: an update of it stays on its page
/// (HOT, hence the fill factor), and the full-text index is not touched.
inline constexpr std::string_view create_posts = R"(CREATE TABLE trunkline_stress.posts (
    id text COLLATE "C" PRIMARY KEY,
    subreddit text NOT NULL,
    created timestamptz NOT NULL,
    score int4 NOT NULL,
    ups int4 NOT NULL,
    downs int4 NOT NULL,
    num_comments int4 NOT NULL,
    domain text NOT NULL,
    title text NOT NULL,
    selftext text NOT NULL,
    permalink text NOT NULL,
    url text NOT NULL,
    subreddit_id text NOT NULL,
    name text NOT NULL,
    over_18 bool NOT NULL,
    is_self bool NOT NULL,
    document tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('pg_catalog.english', title), 'A') ||
        setweight(to_tsvector('pg_catalog.english', selftext), 'D')) STORED
) WITH (fillfactor = 90))";

/// Without fastupdate: new posts can be found at once either way, but with it each search would read the whole list of
/// pending ones, up to 4 MiB.
inline constexpr std::string_view create_index =
    "CREATE INDEX posts_document ON trunkline_stress.posts USING gin (document) WITH (fastupdate = off)";

/// `$1`: words, all of which must occur. Of the posts found, the 200 with the best score are ranked by how often and
/// how prominently the words occur (title before text), and the best 20 are given. So the rank is exact among the 200
/// and a post with a low score may be left out although its text fits better: that is what bounds the work of a search
/// for common words. Finding is not bounded: every match is fetched once for its score.
inline constexpr std::string_view search =
    R"(SELECT p.id, p.title, p.subreddit, p.score, ts_rank(p.document, p.words) AS rank
FROM (SELECT id, title, subreddit, score, document, words
      FROM plainto_tsquery('pg_catalog.english', $1) AS words, trunkline_stress.posts
      WHERE document @@ words
      ORDER BY score DESC LIMIT 200) AS p
ORDER BY rank DESC, p.score DESC, p.id LIMIT 20)";
inline constexpr std::size_t search_limit = 20;
inline constexpr std::size_t search_rank_column = 4;

inline constexpr std::string_view read = "SELECT id, subreddit, created, score, num_comments, title, selftext, url "
                                         "FROM trunkline_stress.posts WHERE id = $1";
inline constexpr std::string_view update = "UPDATE trunkline_stress.posts SET score = score + 1 WHERE id = $1";

/// 5,000 posts behind the id `$1`.
inline constexpr std::string_view page =
    "SELECT id, score FROM trunkline_stress.posts WHERE id > $1 ORDER BY id LIMIT 5000";

/// Of a post, without the generated one.
inline const std::string columns = "id, subreddit, created, score, ups, downs, num_comments, domain, title, selftext, "
                                   "permalink, url, subreddit_id, name, over_18, is_self";

/// One post; one that is there already is left as it is.
inline const std::string insert =
    "INSERT INTO trunkline_stress.posts (" + columns +
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (id) DO NOTHING";

/// A batch on its way in: COPY knows no conflicts.
inline const std::string create_incoming =
    "CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT " + columns + " FROM trunkline_stress.posts WITH NO DATA";
inline constexpr std::string_view copy_incoming = "COPY pg_temp.incoming FROM STDIN (FORMAT binary)";
/// In the order of their ids, so that two batches with the same ones never wait for each other.
inline const std::string insert_incoming = "INSERT INTO trunkline_stress.posts (" + columns +
                                           ") SELECT * FROM pg_temp.incoming ORDER BY id ON CONFLICT (id) DO NOTHING";

}  // namespace trunkline::stress::statements
