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

/// Of what waits so much is looked at: as much as libpq takes at a time, mostly, and the most that a TLS record has.
constexpr std::size_t looked_at = std::size_t{16} << 10;

}  // namespace

bool holds_error(std::string_view messages) noexcept {
    // 'E', a length of four bytes, and the code of its first field, which is the severity. Nothing that a server says while it
    // takes data looks like this, notices and parameters: no text has two zeros behind one another but at a message's end.
    constexpr std::size_t head = 6;
    for (std::size_t at = messages.find('E'); at != std::string_view::npos && at + head <= messages.size();
         at = messages.find('E', at + 1)) {
        if (messages[at + 1] == 0 && messages[at + 2] == 0 && messages[at + 5] == 'S') {
            return true;
        }
    }
    return false;
}

bool has_error_ahead(PGconn* connection) noexcept {
    std::array<char, looked_at> waiting;
    std::ptrdiff_t got = 0;
    if (PQsslInUse(connection) != 0) {
        static const peek_function peek = find_peek();
        void* const tls = PQsslStruct(connection, "OpenSSL");
        got = peek != nullptr && tls != nullptr ? peek(tls, waiting.data(), static_cast<int>(waiting.size())) : 0;
    } else if (PQgssEncInUse(connection) == 0) {
        got = ::recv(PQsocket(connection), waiting.data(), waiting.size(), MSG_PEEK | MSG_DONTWAIT);
    }
    return got > 0 && holds_error({waiting.data(), static_cast<std::size_t>(got)});
}

}  // namespace trunkline::pg
