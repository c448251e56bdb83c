#include "peeked.hpp"

#include <array>
#include <cstddef>
#include <dlfcn.h>
#include <sys/socket.h>

namespace trunkline::pg {

namespace {

using peek_function = int (*)(void*, void*, int);

// OpenSSL is libpq's dependency, not ours: its function is asked for where libpq has loaded it.
peek_function find_peek() noexcept { return reinterpret_cast<peek_function>(::dlsym(RTLD_DEFAULT, "SSL_peek")); }

}  // namespace

bool has_error_ahead(PGconn* connection) noexcept {
    // 'E', a length of four bytes, and the code of its first field, which is the severity. No text has two zeros behind
    // one another, so that the middle of a message does not look like this.
    std::array<char, 6> head{};
    std::ptrdiff_t got = 0;
    if (PQsslInUse(connection) != 0) {
        static const peek_function peek = find_peek();
        void* const tls = PQsslStruct(connection, "OpenSSL");
        got = peek != nullptr && tls != nullptr ? peek(tls, head.data(), static_cast<int>(head.size())) : 0;
    } else if (PQgssEncInUse(connection) == 0) {
        got = ::recv(PQsocket(connection), head.data(), head.size(), MSG_PEEK | MSG_DONTWAIT);
    }
    return got == static_cast<std::ptrdiff_t>(head.size()) && head[0] == 'E' && head[1] == 0 && head[2] == 0 &&
           head[5] == 'S';
}

}  // namespace trunkline::pg
