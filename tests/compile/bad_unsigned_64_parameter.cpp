// expect: a parameter of this type has no mapping: specialise trunkline::parameter_traits
// PostgreSQL has no unsigned 64-bit integer: the range must be the user's decision.
#include <trunkline/pool.hpp>

boost::asio::awaitable<void> form(trunkline::pool& pool, unsigned long long id) {
    co_await pool.query("select $1", id);
}
