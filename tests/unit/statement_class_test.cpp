#include "pg/statement_class.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

namespace {

using trunkline::pg::is_copy;
using trunkline::pg::may_leave_state;

TEST_CASE("HY-8: statements that leave nothing behind need no reset") {
    const std::vector<std::string> harmless{
        "",
        " ;",
        "SELECT 1",
        "select id, title from posts where id = $1 order by created_at desc limit 10",
        "SELECT count(*), max (id) FROM posts",
        "SELECT id, ts_rank_cd(v, q) FROM posts, websearch_to_tsquery('english', $1) q WHERE v @@ q AND (a OR (b))",
        "SELECT lower(/* which */ title)::varchar(20) FROM posts WHERE id IN (1, 2) AND NOT EXISTS (SELECT 1)",
        "SELECT pg_catalog.lower('X')",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "INSERT INTO posts (id, title) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET title = excluded.title",
        "INSERT INTO posts(id, title) VALUES (1, 'a') RETURNING id",
        "INSERT INTO public.posts(id) SELECT generate_series(1, 10)",
        R"(INSERT INTO "public"."posts"("id") VALUES (1))",
        R"(SELECT "t"."id", "t"."a" + 1 FROM "t" WHERE ("t"."id" = $1))",
        "UPDATE posts SET (a, b) = (1, 2) WHERE id = 1",
        "DELETE FROM posts WHERE created_at < now() - interval '1 day'",
        "WITH old(id) AS (SELECT 1) SELECT * FROM old",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t",
        "WITH x AS MATERIALIZED (SELECT 1) TABLE x",
        "SELECT 'nextval(1)', $$ set_config(1) $$, $t$ lo_create(1) $t$, E'it\\'s f(1)', 'it''s f(1)'",
        "SELECT 1 -- nextval('s')\n",
        "SELECT /* a /* nested */ nextval('s') */ 1",
        R"(SELECT "odd name", "quoted ""nextval"" " FROM t)",
        "SELECT cast(price AS numeric(10, 2)), x::numeric(3) FROM (SELECT 1 AS a) AS s(x)",
        "SELECT array_agg(x ORDER BY y) FILTER (WHERE z) OVER (PARTITION BY (q)) FROM t",
        "BEGIN",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "COMMIT",
        "ROLLBACK TO SAVEPOINT a",
        "SAVEPOINT a",
        "RELEASE a",
        "SHOW search_path",
        "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
        "SET LOCAL statement_timeout = 5",
        "SET TRANSACTION READ ONLY",
        "SET CONSTRAINTS ALL DEFERRED",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 10 FROM c",
        "CLOSE c",
        "PREPARE p AS SELECT 1",
        "PREPARE p(int) AS SELECT $1",
        "DEALLOCATE p",
        "VACUUM posts",
        "NOTIFY news",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_sleep(1), pg_backend_pid(), current_setting('x', true)",
    };
    for (const auto& sql : harmless) {
        INFO(sql);
        CHECK_FALSE(may_leave_state(sql));
    }
}

TEST_CASE("HY-8: statements that may leave something, and all that are unknown, need one") {
    const std::vector<std::string> leaving{
        "SET search_path = x",
        "  set /* really */ session x = 1",
        "SET ROLE nobody",
        "SET SESSION AUTHORIZATION nobody",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET",
        "RESET ALL",
        "DISCARD TEMP",
        "LISTEN news",
        "LOAD 'plpgsql'",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "EXECUTE p",
        "COPY t FROM STDIN",
        "CREATE TEMP TABLE t (i int)",
        "CREATE TEMPORARY TABLE t AS SELECT 1",
        "CREATE TABLE t (i int)",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SELECT 1 INTO TEMP t",
        "SELECT 1 AS a INTO TEMPORARY TABLE t",
        "SELECT 1 INTO LOCAL TEMP t",
        "SELECT 1 INTO pg_temp.t",
        "WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a",
        "SELECT set_config('a.b', 'c', false)",
        "SELECT set_config ('a.b', 'c', false)",
        "SELECT set_config/**/('a.b', 'c', false)",
        "SELECT pg_catalog.set_config('a.b', 'c', false)",
        "SELECT nextval('s')",
        "SELECT 1 AS a, nextval('s')",
        "INSERT INTO t VALUES (nextval('s'))",
        "INSERT INTO t SELECT currval('s')",
        "UPDATE t SET a = my_function(1)",
        "SELECT my.lower('x')",
        R"(SELECT "lower"('x'))",
        R"(SELECT "my"."f"(1))",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT lo_create(0)",
        "SELECT * FROM dblink('x', 'y') AS t(a int)",
        "WITH a AS (SELECT pg_advisory_lock(1)) SELECT 1",
        "EXPLAIN ANALYZE SELECT nextval('s')",
        "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE EXECUTE p",
        "SELECT 'unterminated",
        "SELECT 'what \\' nextval(1)'",
        "SELECT $$ open",
        "SELECT /* open",
        "SELECT a_function_whose_name_is_longer_than_thirty_two_characters(1)",
        "SELECT grüße(1)",
        "GRANT ALL ON t TO x",
        "WHATEVER",
    };
    for (const auto& sql : leaving) {
        INFO(sql);
        CHECK(may_leave_state(sql));
    }
}

TEST_CASE("HY-8: every text is decided without reading beyond its end") {
    const std::string whole =
        "WITH a(x) AS (SELECT E'\\'', $t$ x $t$, \"q\"\"q\", 'y''z' /* c /* d */ */ -- e\n) SELECT lower(x) FROM a";
    CHECK_FALSE(may_leave_state(whole));
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const std::string exact{whole.data(), i};  // on the heap: the sanitizer watches its end
        (void)may_leave_state(exact);
        (void)is_copy(exact);
    }
}

TEST_CASE("HY-3: a COPY is known by its first word") {
    CHECK(is_copy("COPY t FROM STDIN"));
    CHECK(is_copy(" -- what\n /* this */ copy (SELECT 1) TO STDOUT"));
    CHECK_FALSE(is_copy("SELECT 'COPY'"));
    CHECK_FALSE(is_copy("copying"));
    CHECK_FALSE(is_copy(""));
}

}  // namespace

TEST_CASE("a text holds one statement, or more") {
    for (const char* const one :
         {"", ";", "SELECT 1", "SELECT 1;", "SELECT ';' ; -- end", "SELECT $a$;$a$;;", "SELECT 1 /* ; */"}) {
        INFO(one);
        CHECK(trunkline::pg::is_single(one));
    }
    for (const char* const more : {"SELECT 1; SELECT 2", ";;x", "SELECT ';'; 'x'"}) {
        INFO(more);
        CHECK_FALSE(trunkline::pg::is_single(more));
    }
}
