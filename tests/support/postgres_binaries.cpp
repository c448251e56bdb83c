#include "support/postgres_binaries.hpp"

#include "support/process.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace trunkline::test {

namespace fs = std::filesystem;

namespace {

bool has_programs(const fs::path& folder) {
    return ::access((folder / "initdb").c_str(), X_OK) == 0 && ::access((folder / "postgres").c_str(), X_OK) == 0;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

fs::path find_postgres_binaries(const fs::path& wanted) {
    if (!wanted.empty()) {
        if (has_programs(wanted)) {
            return wanted;
        }
        throw std::runtime_error{"no initdb and postgres in " + wanted.string()};
    }
    fs::path newest;
    double newest_version = -1;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", none}) {
        const double version = std::strtod(entry.path().filename().c_str(), nullptr);
        if (version > newest_version && has_programs(entry.path() / "bin")) {
            newest = entry.path() / "bin";
            newest_version = version;
        }
    }
    if (!newest.empty()) {
        return newest;
    }
    const auto asked = run_command({"pg_config", "--bindir"});
    if (asked.exit_code == 0 && has_programs(first_line(asked.output))) {
        return first_line(asked.output);
    }
    std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
    for (std::size_t begin = 0; begin < path.size();) {
        const auto end = std::min(path.find(':', begin), path.size());
        if (const fs::path folder = path.substr(begin, end - begin); has_programs(folder)) {
            return folder;
        }
        begin = end + 1;
    }
    throw std::runtime_error{"no PostgreSQL server is installed (initdb and postgres are in none of "
                             "/usr/lib/postgresql/*/bin, `pg_config --bindir`, PATH): apt-get install postgresql, "
                             "or give a running server with --database-url"};
}

}  // namespace trunkline::test
