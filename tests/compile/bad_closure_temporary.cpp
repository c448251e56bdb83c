// expect: (give the lambda a name first|Compiler refuses nothing: not g\+\+ 12)
// g++ 12 would destroy the capture twice.
#include <trunkline/pool.hpp>

#include <string>

#if defined(__clang__) || __GNUC__ >= 13
#error "Compiler refuses nothing: not g++ 12"
#endif

boost::asio::awaitable<void> form(trunkline::pool& pool, std::string name) {
    co_await pool.transaction([name](trunkline::transaction& tx) -> boost::asio::awaitable<void> {
        co_await tx.execute("insert into t values ($1)", name);
    });
}
