#pragma once

#include <trunkline/settings.hpp>

#include <string>
#include <vector>

namespace trunkline::pg {

/// A connection string as libpq understands it, taken apart once: environment and defaults filled in, hosts listed.
struct conninfo {
    struct host {
        std::string name;     ///< as the user wrote it; a directory (or @abstract) for a UNIX socket
        std::string address;  ///< `hostaddr`, if the user gave one: then nothing is resolved
        std::string port;
        bool is_local = false;  ///< a UNIX socket
    };
    struct option {
        std::string keyword;
        std::string value;
    };

    std::vector<host> hosts;      ///< in the order in which they are tried; never empty
    std::vector<option> options;  ///< everything else, passwords included, for PQconnectStartParams
};

/// Reads the URL or keywords. Throws `settings_error` (setting `connect.url`) with libpq's words, and never the URL's.
conninfo parse_conninfo(const connect_settings& settings);

}  // namespace trunkline::pg
