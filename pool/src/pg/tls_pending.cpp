#include "tls_pending.hpp"

#include <dlfcn.h>

namespace trunkline::pg {

namespace {

using pending_function = int (*)(const void*);

// OpenSSL is libpq's dependency, not ours: its function is asked for where libpq has loaded it.
pending_function find_pending() noexcept {
    return reinterpret_cast<pending_function>(::dlsym(RTLD_DEFAULT, "SSL_pending"));
}

}  // namespace

bool tls_pending(PGconn* connection) noexcept {
    if (PQsslInUse(connection) == 0) {
        return false;
    }
    static const pending_function pending = find_pending();
    const void* const tls = PQsslStruct(connection, "OpenSSL");
    return pending != nullptr && tls != nullptr && pending(tls) > 0;
}

}  // namespace trunkline::pg
