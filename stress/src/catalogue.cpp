#include "catalogue.hpp"

#include "post.hpp"
#include "statements.hpp"

#include <stdexcept>

namespace trunkline::stress {

namespace {

struct stored_post {
    std::uint64_t number;
    std::int64_t score;
};

stored_post decode(const row& from) {
    const auto id = from.get<std::string_view>(0);
    std::uint64_t number = 0;
    if (const auto loaded = post_number(id)) {
        number = *loaded;
    } else if (const auto inserted = inserted_post_number(id)) {
        number = first_inserted_post + *inserted;
    } else {
        throw std::runtime_error("the posts' table holds the id '" + std::string{id} + "', which nobody put there");
    }
    return {number, from.get<std::int32_t>(1)};
}

/// Steps through the catalogue beside the server's pages, which are in the same order.
class comparison {
public:
    comparison(const catalogue& before, ledger& book) : before_{before}, book_{book} {}

    void on_post(const stored_post& found) {
        if (found.number >= first_inserted_post) {
            book_.audit_insert(found.number - first_inserted_post);
            return;
        }
        const auto id = post_id(found.number);
        while (next_ < before_.size() && before_.id(next_) < id) {
            book_.audit_updates(next_++, std::nullopt);
        }
        if (next_ == before_.size() || before_.number(next_) != found.number) {
            throw std::runtime_error("the posts' table holds the post '" + id + "', which was not loaded");
        }
        book_.audit_updates(next_, found.score - before_.score(next_));
        ++next_;
    }

    void on_end() {
        while (next_ < before_.size()) {
            book_.audit_updates(next_++, std::nullopt);
        }
    }

private:
    const catalogue& before_;
    ledger& book_;
    std::size_t next_ = 0;
};

}  // namespace

std::string catalogue::id(std::size_t i) const { return post_id(numbers_[i]); }

boost::asio::awaitable<catalogue> read_catalogue(pool& from) {
    catalogue all;
    std::string last;
    for (;;) {
        const auto page = co_await from.query(statements::page, last);
        if (page.empty()) {
            co_return all;
        }
        for (const auto& each : page) {
            const auto found = decode(each);
            all.add(found.number, static_cast<std::int32_t>(found.score));
        }
        last = page[page.size() - 1].get<std::string>(0);
    }
}

boost::asio::awaitable<void> audit(pool& from, const catalogue& before, ledger& book) {
    comparison compare{before, book};
    std::string last;
    for (;;) {
        const auto page = co_await from.query(statements::page, last);
        if (page.empty()) {
            break;
        }
        for (const auto& each : page) {
            compare.on_post(decode(each));
        }
        last = page[page.size() - 1].get<std::string>(0);
    }
    compare.on_end();
}

}  // namespace trunkline::stress
