#include "conninfo.hpp"

#include "masked_text.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace trunkline::pg {

namespace {

struct free_options {
    void operator()(PQconninfoOption* list) const noexcept { PQconninfoFree(list); }
};
using option_list = std::unique_ptr<PQconninfoOption, free_options>;
using options = std::map<std::string, std::string, std::less<>>;

[[noreturn]] void refuse(std::string problem) { throw settings_error{{{"connect.url", std::move(problem)}}}; }

options values_of(const PQconninfoOption* list) {
    options values;
    for (const auto* one = list; one != nullptr && one->keyword != nullptr; ++one) {
        if (one->val != nullptr) {
            values.emplace(one->keyword, one->val);
        }
    }
    return values;
}

options parse(const std::string& url) {
    char* problem = nullptr;
    const option_list parsed{PQconninfoParse(url.c_str(), &problem)};
    const std::unique_ptr<char, void (*)(void*)> text{problem, PQfreemem};
    if (!parsed) {
        refuse("libpq cannot read it: " +
               (problem != nullptr ? masked_text(problem, url) : std::string{"out of memory"}));
    }
    return values_of(parsed.get());
}

/// What a service file adds. libpq reads it only when it connects, so a connect that fails before it touches the network
/// is asked: `spoiler` gets a value that libpq refuses. Its own value is then hidden.
options with_service(const std::string& url, const char* spoiler) {
    const char* const keywords[] = {"dbname", spoiler, nullptr};
    const char* const values[] = {url.c_str(), "\x7f", nullptr};
    const std::unique_ptr<PGconn, void (*)(PGconn*)> probe{PQconnectStartParams(keywords, values, 1), PQfinish};
    const option_list seen{PQconninfo(probe.get())};
    if (!seen) {
        refuse("out of memory");
    }
    options found = values_of(seen.get());
    found.erase(spoiler);
    const std::string_view said = PQerrorMessage(probe.get());
    if (said.find(spoiler) == std::string_view::npos) {  // not the spoiler, but the service was refused
        refuse("libpq cannot use it: " + masked_text(said, url));
    }
    return found;
}

/// The URL, over the settings, over the environment and libpq's defaults.
options merged(const connect_settings& settings) {
    options all = parse(settings.url);
    if (all.contains("service")) {
        auto first = with_service(settings.url, "channel_binding");
        auto second = with_service(settings.url, "gssencmode");
        first.merge(second);
        // The probe's list holds libpq's and the environment's values too: ours go over those.
        const option_list below{PQconndefaults()};
        for (const auto& [keyword, value] : values_of(below.get())) {
            const auto found = first.find(keyword);
            if (found != first.end() && found->second == value && !all.contains(keyword)) {
                first.erase(found);
            }
        }
        first.merge(all);
        all = std::move(first);
        all.erase("service");
    }
    if (!settings.application_name.empty()) {
        all.emplace("application_name", settings.application_name);
    }
    const auto& tcp = settings.tcp;
    all.emplace("keepalives_idle", std::to_string(tcp.keepalives_idle.count()));
    all.emplace("keepalives_interval", std::to_string(tcp.keepalives_interval.count()));
    all.emplace("keepalives_count", std::to_string(tcp.keepalives_count));
    all.emplace("tcp_user_timeout", std::to_string(tcp.user_timeout.count()));
    const option_list below{PQconndefaults()};
    if (!below) {
        refuse("libpq cannot find its defaults: is PGSERVICE set to a service that does not exist?");
    }
    all.merge(values_of(below.get()));
    all.erase("service");
    all["client_encoding"] = "UTF8";  // the only encoding that `std::string` parameters and results have here
    return all;
}

std::vector<std::string> take_list(options& from, std::string_view keyword) {
    const auto found = from.find(keyword);
    if (found == from.end()) {
        return {};
    }
    const std::string list = std::move(found->second);
    from.erase(found);
    std::vector<std::string> items;
    for (std::size_t begin = 0; begin <= list.size() && !list.empty();) {
        const auto end = std::min(list.find(',', begin), list.size());
        items.push_back(list.substr(begin, end - begin));
        begin = end + 1;
    }
    return items;
}

std::string checked_port(const std::string& given, const std::string& fallback) {
    const std::string& port = given.empty() ? fallback : given;
    const bool digits = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoi(port) < 1 || std::stoi(port) > 65'535) {
        refuse("a port is not a number from 1 to 65535");
    }
    return port;
}

std::vector<conninfo::host> take_hosts(options& from) {
    const auto names = take_list(from, "host");
    const auto addresses = take_list(from, "hostaddr");
    const auto ports = take_list(from, "port");
    const std::size_t count = std::max<std::size_t>({names.size(), addresses.size(), 1});
    if (!names.empty() && !addresses.empty() && names.size() != addresses.size()) {
        refuse(std::to_string(names.size()) + " hosts and " + std::to_string(addresses.size()) +
               " values of hostaddr; give as many of each");
    }
    if (ports.size() > 1 && ports.size() != count) {
        refuse(std::to_string(count) + " hosts and " + std::to_string(ports.size()) +
               " ports; give one port, or as many");
    }
    constexpr const char* usual_port = "5432";
    std::vector<conninfo::host> hosts(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto& one = hosts[i];
        one.name = names.empty() ? "" : names[i];
        one.address = addresses.empty() ? "" : addresses[i];
        one.port = checked_port(ports.empty() ? "" : ports[ports.size() == 1 ? 0 : i], usual_port);
        // Without a name libpq takes the directory of UNIX sockets that it was built with.
        one.is_local = one.address.empty() && (one.name.empty() || one.name.front() == '/' || one.name.front() == '@');
    }
    return hosts;
}

}  // namespace

conninfo parse_conninfo(const connect_settings& settings) {
    if (settings.url.find('\0') != std::string::npos) {
        refuse("it holds a NUL byte");
    }
    auto all = merged(settings);
    conninfo found;
    found.hosts = take_hosts(all);
    for (auto& [keyword, value] : all) {
        if (!value.empty()) {
            found.options.push_back({keyword, std::move(value)});
        }
    }
    return found;
}

}  // namespace trunkline::pg
