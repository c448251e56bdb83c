#include "known_statements.hpp"

#include "statement_class.hpp"

#include <boost/container_hash/hash.hpp>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>

#include <algorithm>
#include <functional>
#include <iterator>
#include <new>
#include <utility>

namespace trunkline::pg {

namespace {

std::string name_of(std::string_view sql, std::span<const parameters::entry> values) {
    std::string all{sql};
    all += '\0';
    for (const auto& one : values) {
        all += std::to_string(one.type) + ' ';
    }
    constexpr boost::uuids::uuid nil{};
    const auto hash = boost::uuids::name_generator_sha1{nil}(all);
    std::string name = "p_";
    for (const std::uint8_t byte : hash) {
        constexpr std::string_view digits = "0123456789abcdef";
        name += digits[byte >> 4U];
        name += digits[byte & 15U];
    }
    return name;
}

std::shared_ptr<known_statement> make(std::size_t hash, std::string_view sql,
                                      std::span<const parameters::entry> values) {
    auto made = std::make_shared<known_statement>();
    made->sql = sql;
    made->types.reserve(values.size());
    for (const auto& one : values) {
        made->types.push_back(one.type);
    }
    made->hash = hash;
    made->name = name_of(sql, values);
    made->preparable = is_preparable(sql);
    made->forgets = forgets_prepared(sql);
    return made;
}

}  // namespace

bool known_statement::is(std::string_view text, std::span<const parameters::entry> values) const noexcept {
    return text == sql && std::ranges::equal(values, types, {}, &parameters::entry::type);
}

std::size_t hash_of(std::string_view sql, std::span<const parameters::entry> values) noexcept {
    std::size_t hash = std::hash<std::string_view>{}(sql);
    for (const auto& one : values) {
        boost::hash_combine(hash, one.type);
    }
    return hash;
}

std::shared_ptr<known_statement> known_statements::meet(std::size_t hash, std::string_view sql,
                                                        std::span<const parameters::entry> values) {
    if (sql.size() > longest_text) {
        return nullptr;
    }
    const std::lock_guard lock{mutex_};
    if (const auto found = by_hash_.find(hash); found != by_hash_.end()) {
        const auto at = found->second;
        if (!(*at)->is(sql, values)) {
            return nullptr;
        }
        by_use_.splice(by_use_.begin(), by_use_, at);
        return *at;
    }
    insert(make(hash, sql, values));
    return by_use_.front();
}

void known_statements::insert(std::shared_ptr<known_statement> what) {
    by_use_.push_front(std::move(what));
    try {
        by_hash_.emplace(by_use_.front()->hash, by_use_.begin());
    } catch (...) {
        by_use_.pop_front();
        throw;
    }
    if (by_use_.size() > most) {
        by_hash_.erase(by_use_.back()->hash);
        by_use_.pop_back();
    }
}

std::vector<std::shared_ptr<known_statement>> known_statements::most_used(std::size_t count,
                                                                          std::uint64_t least) const {
    std::vector<std::shared_ptr<known_statement>> all;
    {
        const std::lock_guard lock{mutex_};
        std::ranges::copy_if(by_use_, std::back_inserter(all), [least](const auto& one) {
            return one->preparable && !one->unfit_to_warm.load(std::memory_order_relaxed) &&
                   one->uses.load(std::memory_order_relaxed) >= least;
        });
    }
    // Read once: they change while the list is sorted.
    std::vector<std::pair<std::uint64_t, std::size_t>> uses;
    for (std::size_t i = 0; i < all.size(); ++i) {
        uses.emplace_back(all[i]->uses.load(std::memory_order_relaxed), i);
    }
    count = std::min(count, uses.size());
    std::ranges::partial_sort(uses, uses.begin() + static_cast<std::ptrdiff_t>(count), std::greater{});
    std::vector<std::shared_ptr<known_statement>> chosen;
    for (std::size_t i = 0; i < count; ++i) {
        chosen.push_back(all[uses[i].second]);
    }
    return chosen;
}

void known_statements::note_uses(const std::shared_ptr<known_statement>& what, std::uint64_t uses) noexcept {
    const std::lock_guard lock{mutex_};
    const auto found = by_hash_.find(what->hash);
    if (found == by_hash_.end()) {
        what->uses.fetch_add(uses, std::memory_order_relaxed);
        try {
            insert(what);
        } catch (const std::bad_alloc&) {
            // Then the next who use it make it known.
        }
    } else if ((*found->second)->sql == what->sql) {  // this one, or one that was met while this was forgotten
        (*found->second)->uses.fetch_add(uses, std::memory_order_relaxed);
        by_use_.splice(by_use_.begin(), by_use_, found->second);
    }
}

}  // namespace trunkline::pg
