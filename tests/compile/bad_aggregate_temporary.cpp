// expect: (give the parameter a name first|Compiler refuses nothing: not g\+\+ 12)
// g++ 12 would destroy the temporary's string twice.
#include <trunkline/pool.hpp>

#include <string>

#if defined(__clang__) || __GNUC__ >= 13
#error "Compiler refuses nothing: not g++ 12"
#endif

struct aggregate {
    std::string text;
};
template <>
struct trunkline::parameter_traits<aggregate> {
    static void encode(parameters& to, const aggregate& value) { to.add_text(value.text); }
};

boost::asio::awaitable<void> form(trunkline::connection& connection) {
    co_await connection.query("select $1", aggregate{.text = "freed twice"});
}
