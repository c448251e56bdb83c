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

bool begins_with_error(std::string_view messages) noexcept {
    constexpr std::size_t head = 5;  // a kind, and the length of all but that
    while (messages.size() > head) {
        const auto byte = [&](std::size_t i) {
            return static_cast<std::size_t>(static_cast<unsigned char>(messages[i]));
        };
        const auto length = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
        if (messages[0] == 'E') {
            // The code of its first field is the severity's. No text has two zeros behind one another, so that the
            // middle of a message does not look like this.
            return length < 0x10000 && messages[head] == 'S';
        }
        const bool is_aside = messages[0] == 'N' || messages[0] == 'A' || messages[0] == 'S';
        if (!is_aside || length < 4 || length + 1 > messages.size()) {
            return false;
        }
        messages.remove_prefix(length + 1);
    }
    return false;
}

bool has_error_ahead(PGconn* connection) noexcept {
    std::array<char, 4'096> room{};
    std::ptrdiff_t got = 0;
    if (PQsslInUse(connection) != 0) {
        static const peek_function peek = find_peek();
        void* const tls = PQsslStruct(connection, "OpenSSL");
        got = peek != nullptr && tls != nullptr ? peek(tls, room.data(), static_cast<int>(room.size())) : 0;
    } else if (PQgssEncInUse(connection) == 0) {
        got = ::recv(PQsocket(connection), room.data(), room.size(), MSG_PEEK | MSG_DONTWAIT);
    }
    return got > 0 && begins_with_error({room.data(), static_cast<std::size_t>(got)});
}

}  // namespace trunkline::pg
