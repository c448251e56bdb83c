// expect: a parameter of this type has no mapping: specialise trunkline::parameter_traits
#include <trunkline/pool.hpp>

struct unknown {};

boost::asio::awaitable<void> form(trunkline::pool& pool) { co_await pool.query("select $1", unknown{}); }
