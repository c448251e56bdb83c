#include "handle.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace trunkline::pg {

void finish::operator()(PGconn* connection) const noexcept {
    if (forked_since(born)) {
        // PQfinish writes a Terminate, and TLS its close_notify, to the descriptor: let both go nowhere. If there is no
        // descriptor for that, the child leaks the connection.
        const int socket = PQsocket(connection);
        const int nowhere = socket >= 0 ? ::open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        if (socket >= 0 && (nowhere < 0 || ::dup3(nowhere, socket, O_CLOEXEC) < 0)) {
            return;
        }
        ::close(nowhere);
    }
    PQfinish(connection);
}

}  // namespace trunkline::pg
