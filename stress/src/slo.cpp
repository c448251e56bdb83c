#include "slo.hpp"

#include "duration.hpp"
#include "user_error.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

namespace trunkline::stress {

namespace {

struct metric_name {
    std::string_view name;
    slo_metric metric;
};
constexpr std::array<metric_name, 10> metric_names{{{"p50", slo_metric::p50},
                                                    {"p90", slo_metric::p90},
                                                    {"p99", slo_metric::p99},
                                                    {"p999", slo_metric::p999},
                                                    {"p99.9", slo_metric::p999},
                                                    {"max", slo_metric::max},
                                                    {"errors", slo_metric::errors},
                                                    {"lost", slo_metric::lost},
                                                    {"throughput", slo_metric::throughput},
                                                    {"rate", slo_metric::throughput}}};

struct relation_name {
    std::string_view name;
    slo_relation relation;
};
// The longer ones first: '<=' is not '<' with a limit of '=…'.
constexpr std::array<relation_name, 6> relation_names{{{"<=", slo_relation::at_most},
                                                       {">=", slo_relation::at_least},
                                                       {"==", slo_relation::equal},
                                                       {"<", slo_relation::less},
                                                       {">", slo_relation::greater},
                                                       {"=", slo_relation::equal}}};

[[noreturn]] void refuse(std::string_view part, std::string_view why) {
    throw user_error("--slo: '" + std::string{part} + "' " + std::string{why});
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    return text;
}

bool is_latency(slo_metric metric) { return metric <= slo_metric::max; }

slo_metric parse_metric(std::string_view part, std::string_view name) {
    for (const auto& known : metric_names) {
        if (known.name == name) {
            return known.metric;
        }
    }
    refuse(part, "is about nothing that is measured; use p50, p90, p99, p999, max, errors, lost or throughput");
}

double parse_number(std::string_view part, std::string_view text, std::string_view remedy) {
    double number = 0;
    const auto [end, problem] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(number) || number < 0) {
        refuse(part, remedy);
    }
    return number;
}

double parse_limit(std::string_view part, slo_metric metric, std::string_view text) {
    if (is_latency(metric)) {
        return to_milliseconds(parse_duration(text, "--slo: '" + std::string{part} + "'"));
    }
    if (metric == slo_metric::throughput) {
        if (text.ends_with("/s")) {
            text.remove_suffix(2);
        }
        return parse_number(part, text, "needs a number of operations per second, such as throughput>=900");
    }
    const double count = parse_number(part, text, "needs a count, such as errors=0");
    if (count != std::floor(count)) {
        refuse(part, "needs a whole number, such as errors=0");
    }
    return count;
}

slo_term parse_term(std::string_view part) {
    const auto at = part.find_first_of("<=>");
    if (at == std::string_view::npos || at == 0) {
        refuse(part, "is not metric, relation, limit; write it like p99<500ms or errors=0");
    }
    auto rest = part.substr(at);
    for (const auto& known : relation_names) {
        if (rest.starts_with(known.name)) {
            rest.remove_prefix(known.name.size());
            const auto metric = parse_metric(part, trimmed(part.substr(0, at)));
            return {metric, known.relation, parse_limit(part, metric, trimmed(rest)), std::string{part}};
        }
    }
    refuse(part, "has no relation; use <, <=, =, >= or >");
}

double measured_value(const slo_values& measured, slo_metric metric) {
    switch (metric) {
    case slo_metric::p50: return measured.p50_ms;
    case slo_metric::p90: return measured.p90_ms;
    case slo_metric::p99: return measured.p99_ms;
    case slo_metric::p999: return measured.p999_ms;
    case slo_metric::max: return measured.max_ms;
    case slo_metric::errors: return static_cast<double>(measured.errors);
    case slo_metric::lost: return static_cast<double>(measured.lost);
    case slo_metric::throughput: return measured.throughput_per_s;
    }
    return 0;
}

bool holds(double value, slo_relation relation, double limit) {
    switch (relation) {
    case slo_relation::less: return value < limit;
    case slo_relation::at_most: return value <= limit;
    case slo_relation::equal: return value == limit;
    case slo_relation::at_least: return value >= limit;
    case slo_relation::greater: return value > limit;
    }
    return false;
}

std::string describe(slo_metric metric, double value) {
    std::array<char, 64> text{};
    const char* format = is_latency(metric) ? "%.1f ms" : metric == slo_metric::throughput ? "%.1f/s" : "%.0f";
    const int length = std::snprintf(text.data(), text.size(), format, value);
    return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

slo parse_slo(std::string_view text) {
    slo parsed{std::string{text}, {}};
    std::size_t at = 0;
    while (at <= text.size()) {
        const auto comma = std::min(text.find(',', at), text.size());
        parsed.terms.push_back(parse_term(trimmed(text.substr(at, comma - at))));
        at = comma + 1;
    }
    return parsed;
}

slo_verdict evaluate(const slo& wanted, const slo_values& measured) {
    slo_verdict verdict;
    for (const auto& term : wanted.terms) {
        const double value = measured_value(measured, term.metric);
        if (is_latency(term.metric) && measured.operations == 0) {
            verdict.broken.push_back(term.text + ": no operation was measured");
        } else if (!holds(value, term.relation, term.limit)) {
            verdict.broken.push_back(term.text + ": was " + describe(term.metric, value));
        }
    }
    verdict.passed = verdict.broken.empty();
    return verdict;
}

}  // namespace trunkline::stress
