#include "server_access.hpp"

#include "user_error.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/io_context.hpp>

#include <unistd.h>

namespace trunkline::stress {

std::string run_application_name() { return "trunkline-stress-run " + std::to_string(getpid()); }

pool_settings run_settings(const options& asked, const std::string& url) {
    pool_settings settings;
    settings.name = "stress";
    settings.size = {.min = asked.connections, .max = asked.connections};
    settings.connect.url = url;
    settings.connect.application_name = run_application_name();
    settings.acquire.timeout = asked.acquire_timeout;
    settings.acquire.max_waiting = std::max(settings.acquire.max_waiting, asked.clients + 1);
    return settings;
}

pool_settings watch_settings(const options& asked, const std::string& url) {
    auto settings = run_settings(asked, url);
    settings.name = "watch";
    settings.connect.application_name = "trunkline-stress-watch " + std::to_string(getpid());
    return settings;
}

void check_url(const std::string& url) {
    if (url.find("application_name") != std::string::npos) {
        throw user_error(
            "--database-url sets application_name, by which this program counts its sessions; take it out of the URL");
    }
    try {
        boost::asio::io_context unused;
        pool_settings settings;
        settings.connect.url = url;
        const pool read{unused.get_executor(), settings};
    } catch (const settings_error& problem) {
        throw user_error("--database-url: " + problem.problems().front().problem +
                         "; write it like postgresql://user:password@host:5432/database");
    }
}

std::string describe_connect_failure(const error& problem) {
    const auto said = problem.message().empty() ? std::string{problem.what()} : std::string{problem.message()};
    if (problem.code() == errc::login_refused) {
        return "the server refuses the login: " + said +
               "; mend the user, the password or the database in --database-url";
    }
    return "no connection to the server: " + said +
           "; check that it runs and that --database-url names its host and port";
}

}  // namespace trunkline::stress
