#include <trunkline/settings.hpp>

#include <string>
#include <utility>

namespace trunkline {

namespace {

std::string describe(const std::vector<settings_problem>& problems) {
    std::string text = "invalid pool settings:";
    for (const auto& [setting, problem] : problems) {
        text += "\n  ";
        text += setting;
        text += ": ";
        text += problem;
    }
    return text;
}

class checker {
public:
    void require(bool holds, const char* setting, std::string problem) {
        if (!holds) {
            problems_.push_back({setting, std::move(problem)});
        }
    }

    void positive(std::chrono::milliseconds value, const char* setting) {
        require(value.count() >= 1 && value <= longest, setting,
                "is " + std::to_string(value.count()) + " ms; give between 1 ms and 1 year");
    }

    void zero_or_more(std::chrono::milliseconds value, const char* setting, const char* zero) {
        require(value.count() >= 0 && value <= longest, setting,
                "is " + std::to_string(value.count()) + " ms; give between 0 (" + zero + ") and 1 year");
    }

    void keepalive(std::chrono::seconds value, const char* setting) {
        constexpr std::chrono::seconds most{32'767};  // Linux's own bound
        require(value.count() >= 1 && value <= most, setting,
                "is " + std::to_string(value.count()) + " s; give between 1 s and 32767 s");
    }

    std::vector<settings_problem> take() { return std::move(problems_); }

private:
    static constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365};
    std::vector<settings_problem> problems_;
};

constexpr std::size_t most_connections = 10'000;

void check_size(checker& check, const size_settings& size) {
    check.require(size.max >= 1 && size.max <= most_connections, "size.max",
                  "is " + std::to_string(size.max) + "; give between 1 and " + std::to_string(most_connections));
    check.require(size.min <= size.max, "size.min",
                  "is " + std::to_string(size.min) + ", more than size.max (" + std::to_string(size.max) +
                      "); lower it or raise size.max");
}

void check_connect(checker& check, const connect_settings& connect) {
    check.positive(connect.timeout, "connect.timeout");
    check.require(connect.max_connecting >= 1, "connect.max_connecting",
                  "is 0, so that no connection could ever be opened; give 1 or more");
    check.positive(connect.backoff_initial, "connect.backoff_initial");
    check.positive(connect.backoff_max, "connect.backoff_max");
    check.require(connect.backoff_initial <= connect.backoff_max, "connect.backoff_initial",
                  "is longer than connect.backoff_max; lower it or raise connect.backoff_max");
    check.require(connect.application_name.size() < 64, "connect.application_name",
                  "has " + std::to_string(connect.application_name.size()) + " bytes; PostgreSQL keeps 63, shorten it");
    const auto& tcp = connect.tcp;
    check.keepalive(tcp.keepalives_idle, "connect.tcp.keepalives_idle");
    check.keepalive(tcp.keepalives_interval, "connect.tcp.keepalives_interval");
    check.require(tcp.keepalives_count >= 1 && tcp.keepalives_count <= 100, "connect.tcp.keepalives_count",
                  "is " + std::to_string(tcp.keepalives_count) + "; give between 1 and 100");
    check.zero_or_more(tcp.user_timeout, "connect.tcp.user_timeout", "the kernel's default");
}

void check_lifetime(checker& check, const lifetime_settings& lifetime) {
    check.zero_or_more(lifetime.idle_timeout, "lifetime.idle_timeout", "never");
    check.zero_or_more(lifetime.max_lifetime, "lifetime.max_lifetime", "never");
    check.positive(lifetime.rollback_timeout, "lifetime.rollback_timeout");
    const bool both = lifetime.idle_timeout.count() > 0 && lifetime.max_lifetime.count() > 0;
    check.require(
        !both || lifetime.idle_timeout < lifetime.max_lifetime, "lifetime.idle_timeout",
        "is not shorter than lifetime.max_lifetime, so that it never counts; lower it, or turn it off with 0");
}

}  // namespace

settings_error::settings_error(std::vector<settings_problem> problems)
    : std::invalid_argument{describe(problems)},
      problems_{std::move(problems)} {}

std::vector<settings_problem> validate(const pool_settings& settings) {
    checker check;
    check.require(!settings.name.empty(), "name", "is empty; give the pool a name, logs and metrics carry it");
    check_size(check, settings.size);
    check_connect(check, settings.connect);
    check.positive(settings.acquire.timeout, "acquire.timeout");
    check.require(settings.acquire.max_waiting >= 1, "acquire.max_waiting",
                  "is 0, so that nobody could ever wait; give 1 or more");
    check_lifetime(check, settings.lifetime);
    return check.take();
}

}  // namespace trunkline
