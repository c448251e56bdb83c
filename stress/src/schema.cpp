#include "schema.hpp"

#include "statements.hpp"
#include "user_error.hpp"

namespace trunkline::stress {

namespace {

boost::asio::awaitable<void> refuse_foreign_schema(pool& on) {
    const auto found = co_await on.query(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", statements::schema);
    if (!found.empty() && found[0].get<std::optional<std::string>>(0) != statements::marker) {
        throw user_error("--database-url: the database has a schema " + std::string{statements::schema} +
                         " that this program did not make; rename that one or use another database");
    }
}

boost::asio::awaitable<void> refuse_second_run(pool& on, std::string our_sessions) {
    const auto found = co_await on.query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                                         "application_name LIKE 'trunkline-stress-run %' AND application_name <> $1",
                                         our_sessions);
    if (found[0].get<std::int64_t>(0) != 0) {
        throw user_error("--database-url: another trunkline-stress is using this database; wait until it has ended");
    }
}

}  // namespace

boost::asio::awaitable<void> create_schema(pool& on, std::string our_sessions) {
    co_await refuse_foreign_schema(on);
    co_await refuse_second_run(on, std::move(our_sessions));
    const auto name = std::string{statements::schema};
    try {
        const auto drop = "DROP SCHEMA IF EXISTS " + name + " CASCADE";
        co_await on.query(drop);
        const auto create = "CREATE SCHEMA " + name;
        co_await on.query(create);
        const auto comment = "COMMENT ON SCHEMA " + name + " IS '" + std::string{statements::marker} + "'";
        co_await on.query(comment);
        co_await on.query(statements::create_posts);
        co_await on.query(statements::create_incoming);  // which is gone with it: whether the user may
    } catch (const error& problem) {
        if (problem.code() == make_error_code(sqlstate::insufficient_privilege)) {
            throw user_error("--database-url: " + std::string{problem.message()} +
                             "; use a user who may create schemas and temporary tables in this database");
        }
        throw;
    }
}

boost::asio::awaitable<void> create_index(pool& on) {
    co_await on.query(statements::create_index);
    const auto analyze = "ANALYZE " + std::string{statements::schema} + ".posts";
    co_await on.query(analyze);
}

boost::asio::awaitable<void> drop_schema(pool& on) {
    const auto drop = "DROP SCHEMA IF EXISTS " + std::string{statements::schema} + " CASCADE";
    co_await on.query(drop);
}

void add_post(parameters& to, const post& value) {
    to.add(value.id).add(value.subreddit).add(value.created);
    to.add(value.score).add(value.ups).add(value.downs).add(value.num_comments);
    to.add(value.domain).add(value.title).add(value.selftext).add(value.permalink).add(value.url);
    to.add(value.subreddit_id).add(value.name).add(value.over_18).add(value.is_self);
}

}  // namespace trunkline::stress
